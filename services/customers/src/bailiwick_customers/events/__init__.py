"""What customers tells the bus and hears from it."""
