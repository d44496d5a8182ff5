"""Decoder models: the Llama and Qwen2 family in one file, their weights, the tiny pair. Needs torch."""
