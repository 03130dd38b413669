"""A service's process: its commands, health, periodic work."""
