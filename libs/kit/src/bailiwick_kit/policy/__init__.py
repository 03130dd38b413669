"""Asking Open Policy Agent: one decision, or which rows a caller may see."""
