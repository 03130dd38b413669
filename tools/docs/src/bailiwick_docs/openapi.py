"""The OpenAPI document of every service, kept in `contracts/openapi`: written, or compared.

Each service tells its own (`python -m bailiwick_<service> openapi`); contracts itself knows no service.

python -m bailiwick_docs.openapi [--check]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bailiwick_docs.checkout import CHECKOUT, SERVICES

FOLDER = CHECKOUT / "contracts" / "openapi"


class UntoldError(Exception):
    """A service did not tell its document."""


def rendered() -> dict[Path, str]:
    """Return each document's file with the text it should have.

    Raises:
        UntoldError: a service cannot tell; why is on stderr.
    """
    asked = {
        service: subprocess.Popen(
            [sys.executable, "-m", f"bailiwick_{service}", "openapi"],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for service in SERVICES
    }
    told = {service: process.communicate()[0] for service, process in asked.items()}
    if silent := [service for service, process in asked.items() if process.returncode]:
        raise UntoldError(f"no OpenAPI document of {', '.join(silent)}: see above")
    return {FOLDER / f"{service}.json": text for service, text in told.items()}


def drift() -> list[str]:
    """Return the names of the files that are not what the services tell, or that none tells."""
    expected = rendered()
    differing = [
        path.name
        for path, text in expected.items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    return differing + sorted(path.name for path in set(FOLDER.glob("*")) - expected.keys())


def main() -> int:
    """Write the files; with --check only compare. Returns the exit code."""
    try:
        return _main()
    except UntoldError as error:
        print(error)
        return 1


def _main() -> int:
    if "--check" in sys.argv[1:]:
        differing = drift()
        for name in differing:
            print(f"openapi/{name} differs from the code: run ./bailiwick contracts")
        return 1 if differing else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in rendered().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
