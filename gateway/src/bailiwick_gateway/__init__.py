"""The gateway: which paths are let in, nginx's configuration, and the handbook that it serves."""
