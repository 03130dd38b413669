"""What people read or import that is made from code: two pages of docs/, and the broker's accounts.

Written, or compared.

python -m bailiwick_docs.pages [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from bailiwick_docs import broker_definitions, configuration_page, metrics_page
from bailiwick_docs.checkout import CHECKOUT

FOLDER = CHECKOUT / "docs"


def rendered() -> Mapping[Path, str]:
    """Return each file with the text it should have."""
    return {
        FOLDER / "configuration.md": configuration_page.page(),
        FOLDER / "metrics.md": metrics_page.page(),
        broker_definitions.FILE: broker_definitions.page(),
    }


def drift() -> list[str]:
    """Return the names of the files that are not what code says."""
    return [
        path.name
        for path, text in rendered().items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]


def main() -> int:
    """Write the files; with --check only compare. Returns the exit code."""
    if "--check" in sys.argv[1:]:
        differing = drift()
        for name in differing:
            print(f"{name} differs from the code: run ./bailiwick contracts")
        return 1 if differing else 0
    for path, text in rendered().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
