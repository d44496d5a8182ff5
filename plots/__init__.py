"""Pictures of metrics in one house style; frames in, PDF and PNG out."""
