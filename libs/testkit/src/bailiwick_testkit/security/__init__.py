"""Attacks, secrets that are looked for, and heavy bodies."""
