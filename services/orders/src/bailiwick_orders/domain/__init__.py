"""What is true of orders, whoever asks: states, amounts, representation. Standard library only."""
