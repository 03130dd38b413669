"""Asks the service on this machine how it is: what a container runs every few seconds.

With the standard library alone, because loading a whole service takes a second of processor time:
`python -m bailiwick_kit.probe [live|ready|started]`.
"""

from __future__ import annotations

import http.client
import os
import sys

VARIABLE = "BAILIWICK_OPERATIONS_LISTEN"
DEFAULT = "127.0.0.1:9464"
_PATIENCE = 3.0
_OK = 200
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - asked here, not listened on


def probe(what: str) -> int:
    """Return 0 if the service's own operations port says that it is live, ready or started, else 1."""
    host, _, port = (os.environ.get(VARIABLE) or DEFAULT).rpartition(":")
    where = _EVERYWHERE.get(host, host).strip("[]")
    connection = http.client.HTTPConnection(where, int(port), timeout=_PATIENCE)
    try:
        connection.request("GET", f"/{what}")
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode(errors="replace") + "\n")
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"no answer on port {port}: {type(error).__name__}\n")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == _OK else 1


if __name__ == "__main__":
    sys.exit(probe((sys.argv[1:] or ["ready"])[0]))
