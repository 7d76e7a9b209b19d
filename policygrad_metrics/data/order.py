"""The order of classes: told by the data, well known, or asked for; never that of the alphabet."""

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

from policygrad_metrics import aqi
from policygrad_metrics.data.cells import to_number

#: Well-known orders, lowest first; a slash parts words for the same place. The names of the levels
#: of every air-quality scale come after them.
_WORDS = (
    "none/no/zero, very low, low, medium/moderate/mid/med/normal/average, high, very high, "
    "severe/extreme/critical",
    "very poor/terrible, poor, fair/average, good, very good, excellent/outstanding",
    "very bad/terrible, bad, ok/okay/average/neutral, good, very good/great, excellent",
    "none/no/normal/absent/no dr, minimal, mild, moderate, severe, "
    "very severe/critical/proliferative/proliferative dr",
    "never, rarely/seldom/hardly ever, sometimes/occasionally, often/frequently, "
    "usually/very often, always",
    "extra small/xs/tiny, small/s, medium/m, large/l/big, extra large/xl/huge",
    "strongly disagree, disagree, somewhat disagree/slightly disagree, neutral/undecided/"
    "neither agree nor disagree, somewhat agree/slightly agree, agree, strongly agree",
    "very negative, negative, neutral, positive, very positive",
    "very dissatisfied, dissatisfied, neutral, satisfied, very satisfied",
    "very unlikely, unlikely, neutral, likely, very likely",
    "novice, beginner, intermediate, advanced, expert",
    "very slow, slow, medium/moderate, fast, very fast",
    "cold, cool, mild/lukewarm, warm, hot",
)
_NUMBER = r"([-+]?(?:inf|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))"
_BETWEEN = rf"[\[(]?{_NUMBER} ?(?:-|\u2013|to|,|\.\.) ?{_NUMBER}[\])]?"
_BELOW = rf"(?:<=?|\u2264|under|below|up to|less than) ?{_NUMBER}"
_ABOVE = (
    rf"(?:>=?|\u2265|over|above|more than) ?{_NUMBER}|"
    rf"{_NUMBER} ?(?:\+|or more|and (?:more|over|above|up))"
)


def known_order(classes: Sequence[str]) -> list[str] | None:
    """Return classes in their order if that is well known, lowest first; else None.

    Known are numbers and ranges of numbers, the level names of every air-quality scale, and words
    such as low, medium, high. Some of such words are enough; case, blanks and hyphens do not
    matter.

    >>> known_order(["High", "low", "MEDIUM"]), known_order(["10", "9", "8"])
    (['low', 'MEDIUM', 'High'], ['8', '9', '10'])
    >>> known_order(["35-75", "<= 35", "> 75"])
    ['<= 35', '35-75', '> 75']
    >>> known_order(["cat", "dog", "bird"]) is None
    True
    """
    bounds = [_bounds(text.strip().casefold()) for text in classes]
    ranges = sorted((ends, text) for ends, text in zip(bounds, classes, strict=True) if ends)
    if len(ranges) == len(classes):
        apart = all(a < b and a[1] <= b[0] for (a, _), (b, _) in itertools.pairwise(ranges))
        return [text for _, text in ranges] if apart else None
    found = []
    for places in _PLACES:
        ranks: dict[Any, str] = {places.get(_folded(text)): text for text in classes}
        if None not in ranks and len(ranks) == len(classes):
            found.append([ranks[rank] for rank in sorted(ranks)])
    # From the best or from the worst is no other order; two words may change places, however.
    same = all(order in (found[0], found[0][::-1]) for order in found)
    return found[0] if found and same else None


def ordered_categories(y: Any) -> list[Any] | None:
    """Return the categories of a pandas column that is an ordered categorical; else None.

    A polars column of type Enum is one as well. Neither library is imported.

    Args:
        y: Anything.

    >>> import pandas as pd
    >>> levels = pd.Categorical(["high", "low"], ["low", "medium", "high"], ordered=True)
    >>> ordered_categories(pd.Series(levels))
    ['low', 'medium', 'high']
    """
    if getattr(y, "columns", None) is not None and y.shape[1] == 1:
        y = y[y.columns[0]]
    dtype: Any = getattr(y, "dtype", None)
    if getattr(dtype, "ordered", False) or type(dtype).__name__ == "Enum":
        return list(dtype.categories)
    return None


def no_order(user: str, what: str, classes: Sequence[Any]) -> ValueError:
    """Return the error of classes whose order is needed and not known; it shows how to give it.

    Args:
        user: What needs it, such as "reward 'cohen_kappa_quadratic'".
        what: What holds the classes, such as "y".
        classes: Those found.
    """
    names = [str(name) for name in classes]
    words = ",".join(f'"{name}"' if "," in name else name for name in names)
    return ValueError(
        f"{user} depends on the order of the classes, and that of {what} is not known: "
        f"{', '.join(map(repr, names))}. Give all classes in their order, lowest first: "
        f"classes={list(classes)} (scikit-learn estimators and scorers; or y as an ordered pandas "
        f"categorical), --order {shlex.quote(words)} (policygrad compare --csv; "
        "read_table's order=)."
    )


def _bounds(text: str) -> tuple[float, float] | None:
    """The ends of a number or of a range of numbers, written in one of the usual ways."""
    number = to_number(text)
    if number is not None:
        return (number, number) if math.isfinite(number) else None
    if between := re.fullmatch(_BETWEEN, text):
        return float(between[1]), float(between[2])
    if below := re.fullmatch(_BELOW, text):
        return -math.inf, float(below[1])
    if above := re.fullmatch(_ABOVE, text):
        return float(above[1] or above[2]), math.inf
    return None


def _folded(text: str) -> str:
    """A name without case, blanks and hyphens; "Moderately polluted" is "moderate"."""
    plain = re.sub(r"[\W_]+", "", text.casefold())
    return re.sub(r"(?<=.)(y|ily|ly)?pollut(ed|ion)$", "", plain)


def _places() -> list[dict[str, int]]:
    orders = [[place.split("/") for place in line.split(", ")] for line in _WORDS]
    orders += [[[name] for name in aqi.get_scale(key).names] for key in aqi.scales()]
    return [
        {_folded(word): rank for rank, place in enumerate(order) for word in place}
        for order in orders
    ]


_PLACES = _places()
