"""Run orders: `python -m bailiwick_orders api | worker | serve | migrate | import | republish | …`."""

from bailiwick_kit.process.starting import program_in

program_in("bailiwick_orders.main")()
