"""What the services of a test run wrote about the requests that a failure names.

The run's folder goes with the run, and the logs with it: whoever reads the failure has only this.
"""

from __future__ import annotations

import re
from pathlib import Path

_TRACE_ID = re.compile(r"\b[0-9a-f]{32}\b", re.ASCII)
MOST = 100
"""Lines told at most."""


def lines_about(failure: str, folder: Path) -> str:
    """Return the lines in the logs below the folder that have a trace id which the failure names."""
    traces = set(_TRACE_ID.findall(failure))
    if not traces:
        return ""
    found = [
        line
        for log in sorted(folder.glob("**/logs/*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if traces.intersection(_TRACE_ID.findall(line))
    ]
    return "\n".join(found[:MOST])
