"""What is true of organizations, members and their rights, whoever asks. The standard library only."""
