"""The HTTP routes of notifier."""
