"""What ordering policies share: lines, counters, costs, guesses of length, windows."""
