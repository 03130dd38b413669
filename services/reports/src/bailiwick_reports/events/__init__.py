"""What reports hears from the bus."""
