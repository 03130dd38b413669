"""What is true of customers and portfolios, whoever asks. The standard library only."""
