"""What a test makes up: people, siblings, an engine, a mail server, a subscriber."""
