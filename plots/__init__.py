"""Pictures of metrics in one house style; frames in, PDF and PNG out."""

import os

os.environ["MPLBACKEND"] = "agg"
"""Pictures are files: the backend that a notebook names for its own processes is not used here, and need not be installed."""
