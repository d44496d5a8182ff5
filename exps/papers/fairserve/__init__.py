"""FairServe's figures, and its recorded runs."""
