"""What orders hears from the bus."""
