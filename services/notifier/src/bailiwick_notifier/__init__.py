"""Notifier: tells people of what concerns them."""
