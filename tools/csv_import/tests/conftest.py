"""What tests of the import share."""

from __future__ import annotations

from bailiwick_testkit.services.import_files import checked

__all__ = ["checked"]
