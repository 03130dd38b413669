"""What reports does."""
