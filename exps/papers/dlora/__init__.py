"""dLoRA (OSDI 2024): many adapters, many replicas."""
