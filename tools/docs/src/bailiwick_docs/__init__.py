"""What is made of code for people to read or import: `./bailiwick contracts` writes it."""
