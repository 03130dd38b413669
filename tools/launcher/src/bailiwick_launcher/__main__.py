"""`python -m bailiwick_launcher`: what the script starts."""

from bailiwick_launcher.cli import app

app(prog_name="bailiwick")
