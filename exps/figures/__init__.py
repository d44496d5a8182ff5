"""A figure as data, its claims, and the pictures and numbers of it."""
