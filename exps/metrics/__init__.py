"""Every metric as a documented formula over records, so that no system can define its own success."""
