"""Tensor parallelism: one model on several ranks of one host. Rank 0 lives in the engine's process and commands the others."""
