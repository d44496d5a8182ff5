"""The executor that runs the models with torch, on a wall clock."""
