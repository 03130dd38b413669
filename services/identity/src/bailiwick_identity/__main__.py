"""Run identity: `python -m bailiwick_identity api | worker | serve | migrate | create-organization | …`."""

from bailiwick_identity.main import program

program()
