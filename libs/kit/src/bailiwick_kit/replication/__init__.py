"""Copies of what another service owns: its feed of changes, and who follows it."""
