"""Tables as plain texts, for HTML, Markdown and a terminal."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from policygrad_metrics.study.statistics import Interval

if TYPE_CHECKING:
    from rich.table import Table

#: The most columns of a table in a terminal.
MOST_COLUMNS = 6


@dataclasses.dataclass(frozen=True)
class Text:
    """A cell of a table.

    Args:
        text: What it shows.
        bold: Whether it stands out.
        link: The anchor in the same report to which it leads, if there is one.
    """

    text: str
    bold: bool = False
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table: a line over it, header, rows of cells, a line below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    below: str = ""


def rich_grid(grid: Grid, columns: int = MOST_COLUMNS) -> Table:
    """Return the first columns of a grid, for a terminal."""
    from rich import box, text
    from rich.table import Table

    table = Table(title=text.Text(grid.title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(grid.header[0], no_wrap=True)
    for name in grid.header[1:columns]:
        table.add_column(name, justify="right", overflow="fold")
    for row in grid.rows:
        cells = row[:columns]
        table.add_row(*(text.Text(cell.text, style="bold" if cell.bold else "") for cell in cells))
    return table


def interval_text(interval: Interval | None) -> str:
    """Return an estimate with its bounds, or a dash."""
    return "-" if interval is None else interval.format(2)


def p_words(value: float | None) -> str:
    """Return a p value as it stands in a sentence, behind a p.

    >>> p_words(0.04), p_words(1e-9)
    ('= 0.040', '< 0.001')
    """
    text = p_text(value).text
    return text if text.startswith(("<", "-")) else f"= {text}"


def p_text(value: float | None) -> Text:
    """Return the cell of a p value."""
    if value is None:
        return Text("-")
    return Text("< 0.001" if value < 0.001 else f"{value:.3f}")
