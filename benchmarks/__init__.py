"""Speed, against peers and against the floor."""
