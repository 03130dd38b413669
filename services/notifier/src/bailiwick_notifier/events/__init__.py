"""What notifier hears from the bus."""
