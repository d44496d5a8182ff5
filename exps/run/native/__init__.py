"""Figures on the native engine: real tokens, a wall clock. The one room of exps that may import torch."""
