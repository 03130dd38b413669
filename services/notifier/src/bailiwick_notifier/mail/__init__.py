"""Mail: the message, and the server that takes it."""
