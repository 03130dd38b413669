"""Real servers: one set a run, private ones, the whole stack, two instances of a service."""
