"""Figures of AdaServe (EuroSys 2026)."""
