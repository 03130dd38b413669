"""Run customers: `python -m bailiwick_customers api | worker | serve | migrate | …`."""

from bailiwick_customers.main import program

program()
