"""The rows of a text: what separates the cells, where the table begins, which line names it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from policygrad_metrics.data.missing import MISSING
from policygrad_metrics.data.written import is_written_number

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
#: Lines that tell what separates the cells, and rows that tell whether the first one is a header.
_SAMPLE = 1000

#: The number of the line where a row begins, and its cells.
Row = tuple[int, list[str]]


class Layout(NamedTuple):
    """A table's column names, its rows, what separates the cells, and notes."""

    names: list[str]
    rows: list[list[str]]
    sep: str
    notes: list[str]


def read_layout(
    text: str,
    *,
    sep: str | None = None,
    header: bool | None = None,
    skip_lines: int | None = None,
    keep_empty: bool = False,
) -> Layout:
    r"""Return the rows of a text of cells, without blanks around the cells.

    Blank lines, rows of empty cells and repeated headers are passed over, and so are lines above
    the header that hold one cell only, such as a title.

    Args:
        text: The text.
        sep: What separates the cells, as a character or a name ("tab"); None to find out.
        header: Whether the first row names the columns; None to find out.
        skip_lines: How many lines stand above it; None to find out.
        keep_empty: Whether rows of as many empty cells as there are columns are rows, too.

    Raises:
        ValueError: Lines have too many or too few cells, or it is not clear where the table begins.

    >>> read_layout("Station 7\nx;y\n1;2\n").rows
    [['1', '2']]
    """
    lines = io.StringIO(text, newline="").readlines()
    notes = []
    if sep is None:
        sep = _find_separator(lines[skip_lines or 0 :][:_SAMPLE])
        notes += [] if sep == "," else [f"cells are separated by {_SEPARATORS[sep]}."]
    else:
        sep = _NAMED.get(sep, sep)
    if len(sep) != 1:
        raise ValueError(
            f"sep={sep!r} (--sep) must be one character, or comma, semicolon, tab, pipe or space."
        )
    rows = _all_rows(lines, sep, skip_lines or 0, keep_empty)
    if not rows:
        raise ValueError("it holds nothing; a header row and data are needed.")
    rows = _with_all_names(rows)
    if skip_lines is None:
        above = _lines_above(rows)
        if above:
            shown = "; ".join(repr(sep.join(row).rstrip(sep)) for _, row in rows[:above][:3])
            notes.append(f"lines above the header were passed over: {shown}.")
        rows = rows[above:]
    if header is None:
        _refuse_lost_header(rows)
    names = _names(rows[0][1], named=header is not False)
    body = rows if header is False else [row for row in rows[1:] if row[1] != rows[0][1]]
    repeated = 0 if header is False else len(rows) - 1 - len(body)
    body = [row for row in body if any(row[1]) or len(row[1]) == len(names)]
    _refuse_ragged(names, body, sep)
    if not body:
        raise ValueError("it holds only a header row; a header row and data are needed.")
    notes += [f"{repeated} rows that repeat the header were passed over."] if repeated else []
    return Layout(names, [row for _, row in body], sep, notes)


def _all_rows(lines: Sequence[str], sep: str, skip: int, keep_empty: bool) -> list[Row]:
    try:
        rows = list(_rows(lines, sep, skip, keep_empty=keep_empty))
    except ValueError as error:
        if "expected after" not in str(error):
            raise
        # Blanks behind a closing quote.
        rows = list(_rows(lines, sep, skip, strict=False, keep_empty=keep_empty))
    first = next((place for place, (_, row) in enumerate(rows) if any(row)), len(rows))
    return rows[first:]


def _with_all_names(rows: list[Row]) -> list[Row]:
    """Lengthen a header that lacks the name of row numbers in front, or of empty cells behind."""
    (line, first), *below = rows
    if not below or any(len(row) != len(first) + 1 for _, row in below):
        return rows
    if not any(row[-1] for _, row in below):
        return [(line, [*first, ""]), *below]
    numbers = [row[0] for _, row in below]
    return [(line, ["", *first]), *below] if _count_up(numbers) else rows


def _rows(
    lines: Sequence[str], sep: str, skip: int, strict: bool = True, keep_empty: bool = False
) -> Iterator[Row]:
    reader = csv.reader(lines[skip:], delimiter=sep, skipinitialspace=True, strict=strict)
    line = skip + 1  # where the current row starts: quoted cells may run over several lines
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells) or (keep_empty and len(cells) > 1):
                yield line, cells
            line = skip + reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {line}: {error}.") from error


def _find_separator(lines: Sequence[str]) -> str:
    """Return the separator that makes rows of one width, and of numbers rather than texts."""
    fits: dict[str, float] = {}
    even: dict[str, list[list[str]]] = {}
    for sep in _SEPARATORS:
        rows = [row for _, row in _rows(lines, sep, 0, strict=False)]
        width = _width(rows)
        if width > 1:
            even[sep] = [row for row in rows if len(row) == width]
            cells = [cell for row in even[sep] for cell in row]
            plain = sum(not cell or is_written_number(cell) for cell in cells)
            fits[sep] = len(even[sep]) / len(rows) + plain / len(cells)
    if any(_has_decimal_commas(rows) for rows in even.values()):
        fits.pop(",", None)
    best = max(fits, key=lambda sep: fits[sep], default=",")
    equal = [_SEPARATORS[sep] for sep, fit in fits.items() if fit == fits[best]]
    if len(equal) > 1:
        raise ValueError(
            f"cells can be separated by {' or '.join(equal)}: say sep='{best}' (--sep '{best}')."
        )
    return best


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether commas stand in numbers alone, and in no name: they separate no cells then.

    >>> _has_decimal_commas([["x", "y"], ["0,5", "a"]]), _has_decimal_commas([["x,y"], ["1,2"]])
    (True, False)
    """
    named, *below = rows
    with_commas = [cell for row in below for cell in row if "," in cell]
    return (
        bool(with_commas)
        and not any("," in cell for cell in named)
        and all(is_written_number(cell) for cell in with_commas)
    )


def _width(rows: Sequence[Sequence[str]]) -> int:
    """Return how many cells most rows have, 0 if there are none."""
    return Counter(map(len, rows)).most_common(1)[0][0] if rows else 0


def _lines_above(rows: Sequence[Row]) -> int:
    """Return how many rows stand above the table: those of fewer cells than most."""
    width = _width([row for _, row in rows[:_SAMPLE]])
    least = min(2, max(width - 1, 1))
    whole = [len(row) == width and sum(map(bool, row)) >= least for _, row in rows]
    above = whole.index(True) if any(whole) else 0
    titles = [not any(row[1:]) or row[0].startswith("#") for _, row in rows[:above]]
    if not all(titles):
        line, row = rows[titles.index(False)]
        raise ValueError(
            f"line {line} has {len(row)} cells and most lines have {width}: name every column "
            f"there; or, if the header is in line {rows[above][0]}, say "
            f"skip_lines={rows[above][0] - 1} (--skip-lines {rows[above][0] - 1})."
        )
    return above


def _names(first: Sequence[str], named: bool) -> list[str]:
    names = [(name if named else "") or f"column {i}" for i, name in enumerate(first, start=1)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"column names must differ; repeated: {repeated}. Rename them in the file."
        )
    if len(names) == 1:
        raise ValueError(
            f"it has one column, {names[0]!r}; features and a target are needed. If something "
            "else than commas, semicolons, tabs or | separates the cells, say sep='space' "
            "(--sep space), ..."
        )
    return names


def _refuse_ragged(names: Sequence[str], body: Sequence[Row], sep: str) -> None:
    ragged = [(line, len(row)) for line, row in body if len(row) != len(names)]
    if ragged:
        shown = "; ".join(
            f"line {line}: {cells} cells where the header has {len(names)}"
            for line, cells in ragged[:5]
        )
        more = f" (and {len(ragged) - 5} more)" if len(ragged) > 5 else ""
        raise ValueError(
            f"{shown}{more}; mend or delete them (cells that contain {sep!r} must be quoted)."
        )


def _refuse_lost_header(rows: Sequence[Row]) -> None:
    first, below = rows[0][1], [row for _, row in rows[1 : _SAMPLE + 1]]
    if _looks_like(first, [row for row in below if len(row) == len(first)]):
        shown = ", ".join(map(repr, first[:4])) + (", ..." if len(first) > 4 else "")
        raise ValueError(
            f"the first line ({shown}) looks like the rows below it: if it names no columns, "
            "say header=False (--no-header), and they are named column 1, column 2, ...; if it "
            "does, header=True (--header)."
        )


def _looks_like(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row's cells are such as the cells below them."""
    numbers = [cell for cell in first if is_written_number(cell)]
    if len(numbers) > 2 and _count_up(numbers):
        return False  # years, hours or places as names
    alike = 0
    for cell, *column in zip(first, *below, strict=True):
        known = [other for other in column if other.casefold() not in MISSING]
        if not known or not cell:
            continue
        written = sum(map(is_written_number, known))
        if written > len(known) / 2:
            if not is_written_number(cell) and cell.casefold() not in MISSING:
                return False
            alike += 1
        elif cell in known or _shape(cell) in {*map(_shape, known)} - {None}:
            alike += 1
    return alike > 0 and 2 * alike >= sum(map(bool, first))


def _count_up(numbers: Sequence[str]) -> bool:
    return all(n.isdecimal() for n in numbers) and [int(n) for n in numbers] == list(
        range(int(numbers[0]), int(numbers[0]) + len(numbers))
    )


def _shape(cell: str) -> str | None:
    """Return a cell with its digits as 0, as dates have the same; None if it has few digits."""
    digits = sum(character.isdecimal() for character in cell)
    return re.sub(r"\d", "0", cell) if digits > 3 else None
