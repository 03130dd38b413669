"""What is true of figures."""
