"""Run reports: `python -m bailiwick_reports api | worker | serve | migrate | …`."""

from bailiwick_reports.main import program

program()
