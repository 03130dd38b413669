"""Run reports: `python -m bailiwick_reports api | worker | serve | migrate | …`."""

from bailiwick_kit.process.starting import program_in

program_in("bailiwick_reports.main")()
