"""What is true of notices and deliveries."""
