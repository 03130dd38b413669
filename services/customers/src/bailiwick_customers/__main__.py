"""Run customers: `python -m bailiwick_customers api | worker | serve | migrate | …`."""

from bailiwick_kit.process.starting import program_in

program_in("bailiwick_customers.main")()
