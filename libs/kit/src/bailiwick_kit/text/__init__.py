"""Strings from outside: clean, folded for search, codes of ISO."""
