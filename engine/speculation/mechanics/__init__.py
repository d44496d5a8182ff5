"""What several speculation policies share."""
