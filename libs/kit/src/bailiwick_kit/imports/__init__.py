"""Records from files: JSON lines in and out, and what each row said last time."""
