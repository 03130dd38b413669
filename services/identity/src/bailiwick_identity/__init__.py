"""identity: which organizations there are, who is a member of them with what rights, and signing in."""
