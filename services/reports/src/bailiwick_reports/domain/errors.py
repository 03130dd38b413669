"""What reports refuse. The codes are part of the HTTP contract."""

from __future__ import annotations

from bailiwick_kit.errors import Invalid


class ReportTooLarge(Invalid):
    """More rows than an answer may have."""

    code = "report-too-large"
    title = "The report has too many rows"
