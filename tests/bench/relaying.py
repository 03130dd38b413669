"""The relay of orders alone in a process, as its worker runs it: `python relaying.py DATABASE BROKER`."""

from __future__ import annotations

import asyncio
import sys

from bailiwick_contracts.catalogue import BOUND
from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_kit.bus.relay import Relay

database_url, broker_url = sys.argv[1:]
asyncio.run(Relay(database_url, broker_url, "orders", EXCHANGE, BOUND).run())
