"""Run notifier: `python -m bailiwick_notifier api | worker | serve | migrate | …`."""

from bailiwick_notifier.main import program

program()
