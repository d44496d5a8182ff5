"""The native engine on one GPU."""
