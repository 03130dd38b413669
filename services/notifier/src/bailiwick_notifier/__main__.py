"""Run notifier: `python -m bailiwick_notifier api | worker | serve | migrate | …`."""

from bailiwick_kit.process.starting import program_in

program_in("bailiwick_notifier.main")()
