"""Technology without business words, shared by every service."""
