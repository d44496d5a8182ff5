"""Executors of one contract: the simulator, and engines that run a model."""
