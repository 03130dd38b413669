"""What notifier does."""
