"""`python -m bailiwick_local`: what the script starts."""

from bailiwick_local.cli import app

app(prog_name="bailiwick")
