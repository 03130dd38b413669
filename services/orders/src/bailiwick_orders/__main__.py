"""Run orders: `python -m bailiwick_orders api | worker | serve | migrate | import | republish | …`."""

from bailiwick_orders.main import program

program()
