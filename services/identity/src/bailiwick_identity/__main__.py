"""Run identity: `python -m bailiwick_identity api | worker | serve | migrate | create-organization | …`."""

from bailiwick_kit.process.starting import program_in

program_in("bailiwick_identity.main")()
