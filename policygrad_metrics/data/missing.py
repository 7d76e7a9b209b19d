"""Cells without a value: texts that say so, and codes that only look like values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from policygrad_metrics.data.cells import to_number, to_numbers

#: Texts of cells whose value is missing, in any mixture of capitals.
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "?", "-", "--"})
#: Numbers that often stand for missing: -200, and those of nines or eights alone.
_USUAL = re.compile(r"-200|-?(99+|888+)([.]?9+|[.]?8+)?")

Columns = Mapping[str, Sequence[str]]


def without_missing(
    columns: Columns, codes: Sequence[str], text: Sequence[str]
) -> tuple[dict[str, list[str]], Counter[str]]:
    """Return the columns with "" where a value is missing, and how often each text was found.

    Args:
        columns: Name -> cells.
        codes: What else stands for missing. Numbers are compared as numbers, texts as texts;
            "CO=-200" is for the column CO alone, and "" says nothing new.
        text: Columns of texts, in which "None" or "-" is a value like others.

    >>> without_missing({"CO": ["1.5", "-200.0", "n/a"]}, ["-200"], [])
    ({'CO': ['1.5', '', '']}, Counter({'-200.0': 1, 'n/a': 1}))
    """
    found: Counter[str] = Counter()
    kept = {}
    for name, cells in columns.items():
        own = [code.removeprefix(f"{name}=") for code in codes]
        numbers = {to_number(code) for code in own} - {None}
        gone = {
            cell
            for cell in set(cells)
            if (name not in text and cell.casefold() in MISSING)
            or cell in own
            or (numbers and to_number(cell) in numbers)
        }
        found.update(cell for cell in cells if cell and cell in gone)
        kept[name] = ["" if cell in gone else cell for cell in cells]
    return kept, found


def occurs(code: str, found: Collection[str]) -> bool:
    """Return whether a code is one of the texts that were found to be missing values.

    >>> occurs("CO=-200", ["-200.0"]), occurs("-999", ["-200.0"])
    (True, False)
    """
    ends = {code, code.rpartition("=")[2]}
    numbers = {to_number(end) for end in ends} - {None}
    return any(cell in ends or to_number(cell) in numbers for cell in found)


def refuse_likely_codes(columns: Columns, codes: Sequence[str]) -> None:
    """Raise if a number in a column to predict is likely to be a code.

    Args:
        columns: Name -> cells.
        codes: As in `without_missing`; "" among them says that no other number is one.

    Raises:
        ValueError: One is.

    >>> refuse_likely_codes({"CO": ["1.5", "-200", "2", "-200", "3"]}, [""])
    """
    for told in likely_codes(columns, codes):
        given = ", ".join(map(repr, [*codes, ""]))
        raise ValueError(
            f"{told[:-1]}; if it is a value to predict, say missing=[{given}] "
            f"(--missing '{','.join([*codes, ''])}')."
        )


def likely_codes(columns: Columns, told: Sequence[str] = ()) -> list[str]:
    """Return a note if a number that repeats far outside all others is likely to be a code.

    Args:
        columns: Name -> cells.
        told: The codes that are known; "" among them says that no other number is one.

    >>> likely_codes({"CO": ["1.5", "-200", "2", "-200", "3"]})[0][:57]
    "'CO' is -200 in 2 of 5 cells and 1.5 to 3 in the others: "
    """
    if "" in told:
        return []
    seen, codes = [], []
    for name, cells in columns.items():
        numbers = to_numbers(cells)
        known = np.sort([] if numbers is None else numbers[np.isfinite(numbers)])
        for value, others in ((known[:1], known), (known[-1:], known)):
            others = others[others != value]
            count = len(known) - len(others)
            if count and len(others) and _far(float(value[0]), count, others):
                code = f"{value[0]:.15g}"
                seen.append(
                    f"{name!r} is {code} in {count} of {len(known)} cells and {others[0]:g} to "
                    f"{others[-1]:g} in the others"
                )
                codes += [] if code in codes else [code]
    if not seen:
        return []
    codes = [*told, *codes]
    asked, given = ",".join(codes), ", ".join(map(repr, codes))
    return [
        f"{'; '.join(seen)}: if that stands for a missing value, say missing=[{given}] "
        f"(--missing {asked})."
    ]


def _far(value: float, count: int, others: np.ndarray) -> bool:
    """Return whether a number that occurs `count` times is far from all others, in order."""
    if count < 2:
        return False
    # Halves, as the whole of the largest floats is infinite.
    spread = others[-1] / 2 - others[0] / 2
    gap = min(abs(value / 2 - others[0] / 2), abs(value / 2 - others[-1] / 2))
    if _USUAL.fullmatch(f"{value:.15g}"):
        return (value < 0 <= others[0]) or gap > spread / 4
    return gap / 2 > spread and len(np.unique(others)) > 10
