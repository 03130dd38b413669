"""The oracle, drawn worlds, and policy asked in bulk."""
