"""The sample company on the running stack, and a short story played through the public API."""

from __future__ import annotations

from bailiwick_launcher.demo.loading import load as load
from bailiwick_launcher.demo.playing import play as play
