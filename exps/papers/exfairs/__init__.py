"""ExFairS's figures (AAAI 2026), from its artifact's scenarios."""
