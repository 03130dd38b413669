"""What identity tells the bus is recorded by its store; it is an authority and listens to nobody."""
