"""What `./bailiwick` prints: lines, and tables that are plain text where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

console = Console(highlight=False, markup=False, soft_wrap=True)


def report(line: str) -> None:
    """Print one line of what is going on."""
    console.print(line)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 0) -> None:
    """Print a table: ruled where a terminal has room for it, else columns of plain text."""
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    if console.is_terminal and indent + sum(widths) + 3 * len(widths) + 1 <= console.width:
        ruled = Table(*columns)
        for row in rows:
            ruled.add_row(*row)
        console.print(Padding(ruled, (0, 0, 0, indent), expand=False))
        return
    for row in (columns, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        report(" " * indent + line.rstrip())
