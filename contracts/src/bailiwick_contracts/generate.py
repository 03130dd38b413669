"""Write the frozen schema of every event, and the AsyncAPI document, or say which differ.

A schema that somebody relies on is never replaced by one that breaks it.

python -m bailiwick_contracts.generate [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bailiwick_contracts import asyncapi
from bailiwick_contracts.catalogue import EVENTS
from bailiwick_contracts.compatibility import breaks
from bailiwick_contracts.envelope import Event

ROOT = Path(__file__).parents[2]
BREAK = (
    "A version of an event only grows optional members. Publish a v2 beside it; or, where no release "
    "has had this version yet, delete its schema and run ./bailiwick contracts again."
)


def schema(event: type[Event]) -> dict[str, Any]:
    """Return the JSON schema of an event's data, as a reader may rely on it."""
    document = event.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:bailiwick:event:{event.type}",
        **document,
        "title": event.type,
    }


def samples() -> dict[str, dict[str, Any]]:
    """Return each type's samples: what they show → their data."""
    return {
        name: {
            path.stem: json.loads(path.read_text("utf-8"))
            for path in sorted((ROOT / "samples" / name).glob("*.json"))
        }
        for name in EVENTS
    }


def schemas() -> dict[Path, str]:
    """Return each schema's file with the text it should have."""
    return {
        ROOT / "schemas" / f"{name}.json": json.dumps(schema(event), indent=2, sort_keys=True)
        + "\n"
        for name, event in sorted(EVENTS.items())
    }


def rendered() -> dict[Path, str]:
    """Return each generated file with the text it should have."""
    document = asyncapi.document({name: schema(event) for name, event in EVENTS.items()}, samples())
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return {**schemas(), ROOT / "asyncapi.json": text}


def drift() -> list[Path]:
    """Return the files whose text is not what the code says."""
    return [
        path
        for path, text in rendered().items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]


def broken() -> list[str]:
    """Return what the code would break of the stored schemas."""
    return [
        f"{path.name}: {what}"
        for path, text in schemas().items()
        if path.is_file()
        for what in breaks(json.loads(path.read_text("utf-8")), json.loads(text))
    ]


def main() -> int:
    """Write the files; with --check only compare. Returns the exit code."""
    if found := broken():
        print("\n".join(found), BREAK, sep="\n")  # noqa: T201
        return 1
    differing = drift()
    if "--check" in sys.argv[1:]:
        for path in differing:
            print(f"{path.name} differs from the code: run ./bailiwick contracts")  # noqa: T201
        return 1 if differing else 0
    for path, text in rendered().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
