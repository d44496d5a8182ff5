"""The simulator: a virtual clock, a cost model and an acceptance model. No torch, no GPU."""
