"""Numbers as people write them: decimal commas, thousands separators, percent and currency signs.

A column is rewritten only if it is written one way throughout; `refuse_odd_cells` refuses
what is left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from policygrad_metrics.data.cells import to_number, to_numbers

_SIGNS = "%$€£¥₹₩"
_BLANK = "[ \u00a0\u202f]?"
_GROUPS = ",.'’ \u00a0\u202f"
_NUMBER = re.compile(
    rf"""(?P<minus>[-+−]?){_BLANK}(?P<before>[{_SIGNS}]?){_BLANK}
    (?P<body>\d{{1,3}}(?P<group>[{_GROUPS}])\d{{3}}(?:(?P=group)\d{{3}})*(?:[.,]\d+)?
    |\d+[.,]?\d*|[.,]\d+)
    (?P<power>[eE][-+]?\d+)?{_BLANK}
    (?P<after>[{_SIGNS}]?(?P<unit>°?[^\W\d_][\w/^-]{{0,9}}|°)?)""",
    re.VERBOSE,
)
#: Mark -> bodies in which it can only be the decimal mark: not three digits behind it, or other
#: marks before it, or the other mark twice.
_SURE = {
    mark: re.compile(
        rf"(0|\d{{4,}})?[{mark}]\d+|\d+[{mark}](\d{{1,2}}|\d{{4,}})?"
        rf"|\d+[{_GROUPS.replace(mark, '')}][\d{_GROUPS.replace(mark, '')}]*[{mark}]\d+"
        rf"|\d+([{other}]\d{{3}}){{2,}}"
    )
    for mark, other in (",.", ".,")
}


def is_written_number(cell: str) -> bool:
    """Return whether a cell is a number in any way of writing, without a unit.

    >>> [is_written_number(cell) for cell in ("$1,100.50", "1.100,5", "12 %", "10.03.2004")]
    [True, True, True, False]
    """
    match = _NUMBER.fullmatch(cell)
    return match is not None and match["unit"] is None


def plain_numbers(
    columns: Mapping[str, Sequence[str]], sep: str, decimal: str | None, text: Collection[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the columns with their numbers as Python writes them, and notes of what was changed.

    Args:
        columns: Name -> cells, missing ones as "".
        sep: What separates the cells.
        decimal: The decimal mark where a column does not tell: "1,100" alone is 1100 or 1.1.
        text: Columns to leave alone.

    Raises:
        ValueError: No column tells the decimal mark of such a column.

    >>> plain_numbers({"a": ["$1,100", "$20"], "b": ["1", "NR"]}, ",", None, [])[0]
    {'a': ['1100', '20'], 'b': ['1', 'NR']}
    """
    distinct = {name: set(cells) - {""} for name, cells in columns.items() if name not in text}
    found = {
        name: matches
        for name, cells in distinct.items()
        if any(to_number(cell) is None for cell in cells) and (matches := _matches(cells))
    }
    if found or decimal == ",":  # other columns may tell what a mark means, or need to be told
        found = {name: made for name, cells in distinct.items() if (made := _matches(cells))}
    sure = {name: _sure_marks(matches.values()) for name, matches in found.items()}
    anywhere = set().union(*sure.values())
    kept = {name: list(cells) for name, cells in columns.items()}
    notes: dict[str, tuple[str, list[str]]] = {}
    unclear = {}
    for name, matches in found.items():
        bodies = {match["body"] for match in matches.values()}
        mark = _decimal_mark(bodies, sure[name], anywhere, sep, decimal)
        if mark is None:
            unclear[name] = next(body for body in bodies if "," in body or "." in body)
        elif mark and (plain := _plain(matches, mark)):
            kept[name] = [plain.get(cell, cell) for cell in columns[name]]
            changed = next(cell for cell in columns[name] if plain.get(cell, cell) != cell)
            kind = _kind(matches[changed], mark)
            example = f"{changed!r} was read as {plain[changed]}"
            notes.setdefault(kind, (example, []))[1].append(name)
    if unclear:
        cells = ", ".join(f"{name!r} holds {body!r}" for name, body in unclear.items())
        raise ValueError(
            f"{cells}: a decimal mark, or thousands? Say decimal='.' or decimal=',' "
            "(--decimal . or --decimal ,)."
        )
    return kept, [
        f"{kind} in {', '.join(map(repr, names))}: {example}."
        for kind, (example, names) in notes.items()
    ]


def odd_cells(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the distinct texts of every column of which most cells are numbers, if it has any.

    >>> odd_cells({"doors": ["2", "3", "5more"] * 9, "PM": [*map(str, range(30)), "NR"]})
    {'PM': ['NR']}
    """
    odd = {}
    for name, cells in columns.items():
        if to_numbers(cells) is not None:
            continue
        known = Counter(cell for cell in cells if cell)
        texts = [cell for cell in known if to_number(cell) is None]
        numbers = [cell for cell in known if is_written_number(cell)]
        share = sum(known[cell] for cell in numbers) / max(known.total(), 1)
        many = len(numbers) > 10 and (share >= 0.5 or len(texts) <= 5)
        if texts and (many or share >= 0.9):
            odd[name] = texts
    return odd


def refuse_odd_cells(
    columns: Mapping[str, Sequence[str]], odd: Mapping[str, Sequence[str]]
) -> None:
    """Raise if a few cells of a column are texts and the others numbers.

    Args:
        columns: Name -> cells as `read_cells` returns them.
        odd: What `odd_cells` returns of them.

    Raises:
        ValueError: The message tells the cells, their rows and the ways out, column by column.

    >>> columns = {"wind": ["N", "SE", "N"], "PM": [*map(str, range(30)), "NR"]}
    >>> refuse_odd_cells(columns, odd_cells(columns))
    Traceback (most recent call last):
    ValueError: column 'PM' holds numbers, but in 1 of 31 rows a text: 'NR' (row 31 below ...
    """
    if not odd:
        return
    faults, codes = [], []
    for name, texts in odd.items():
        cells = columns[name]
        shown = [f"{cell!r} (row {cells.index(cell) + 1} below the header)" for cell in texts[:5]]
        more = ", ..." if len(texts) > 5 else ""
        count = sum(map(cells.count, texts))
        several = all(map(is_written_number, texts))
        what = "another way of writing them (write them all one way)" if several else "a text"
        faults.append(
            f"column {name!r} holds numbers, but in {count} of {len(cells)} rows {what}: "
            f"{', '.join(shown)}{more}"
        )
        codes += [] if several else [cell for cell in texts[:5] if cell not in codes]
    units = all(columns[name].index(cell) == 0 for name, texts in odd.items() for cell in texts)
    told = "; ".join(faults) + "."
    if units and len(odd) > 1:
        told += " If that row holds the units of the columns, delete its line."
    if codes:
        given = ",".join(codes[:5])
        told += f" If they stand for missing values, say missing={codes[:5]} (--missing '{given}')."
    names = ",".join(odd)
    raise ValueError(
        f"{told} If a column is one of texts, say text={[*odd]} (--text '{names}'); to leave it "
        f"out, drop={[*odd]} (--drop '{names}')."
    )


def _matches(cells: Collection[str]) -> dict[str, re.Match[str]]:
    """Return the cells that are numbers in some way, if most are and all bear the same signs.

    A unit behind one value only, such as "1 Hr" in all rows, makes no numbers.
    """
    matches = {cell: match for cell in cells if (match := _NUMBER.fullmatch(cell))}
    signs = {(match["before"], match["after"]) for match in matches.values()}
    if len(matches) <= len(cells) / 2 or len(signs) != 1:
        return {}
    return {} if len(cells) == 1 and any(match["unit"] for match in matches.values()) else matches


def _sure_marks(matches: Iterable[re.Match[str]]) -> set[str]:
    bodies = [match["body"] for match in matches]
    return {mark for mark, sure in _SURE.items() if any(map(sure.fullmatch, bodies))}


def _decimal_mark(
    bodies: Collection[str], sure: set[str], anywhere: set[str], sep: str, decimal: str | None
) -> str | None:
    """Return the decimal mark of a column, "" if it is written in two ways, None if unknown."""
    if sure:
        return next(iter(sure)) if len(sure) == 1 else ""
    commas, points = (any(mark in body for body in bodies) for mark in ",.")
    if not commas and not points:
        return "."
    if commas and points:
        return ""
    if decimal is not None:
        return decimal
    if commas and anywhere != {","}:
        return "." if sep == "," or anywhere == {"."} else None
    if points and "," in anywhere:
        return None
    return "," if commas else "."


def _plain(matches: Mapping[str, re.Match[str]], mark: str) -> dict[str, str]:
    """Return cell -> number as Python writes it; empty if nothing changes, or if not consistent."""
    plain, grouped, bare = {}, False, False
    for cell, match in matches.items():
        whole, _, fraction = match["body"].partition(mark)
        digits = re.sub(rf"[{_GROUPS}]", "", whole)
        grouped |= digits != whole
        bare |= digits == whole and len(digits) > 3
        minus = match["minus"].replace("−", "-")
        tail = f".{fraction}" if fraction else ""
        plain[cell] = f"{minus}{digits or '0'}{tail}{match['power'] or ''}"
    same = all(to_number(cell) == float(number) for cell, number in plain.items())
    return {} if same or (grouped and bare) else plain


def _kind(match: re.Match[str], mark: str) -> str:
    if match["unit"]:
        return f"the unit {match['unit']} was left out"
    if match["before"] or match["after"]:
        return f"the sign {match['before'] or match['after']} was left out"
    if mark == ",":
        return "decimal commas"
    return "thousands separators"
