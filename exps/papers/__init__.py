"""The figures of each paper, by name."""
