"""How new rows differ from those that a model was trained on."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: A population stability index above this is a change worth a look, by the usual rule of thumb.
UNSTABLE = 0.25
#: Shares of rows outside the training range, or with unknown texts, that are told.
TOLD = 0.01
#: A share counts as at least this in the index.
_LEAST = 1e-4


@dataclasses.dataclass(frozen=True)
class Ranges:
    """What the training rows held, as plain values.

    Args:
        rows: How many there were.
        edges: Of each numeric column its inner deciles.
        limits: Of each the least and the largest value.
        texts: Of each categorical column its texts.
        shares: Column -> share of the rows in each bin; of numbers missing ones come first.
    """

    rows: int
    edges: Mapping[str, Sequence[float]]
    limits: Mapping[str, tuple[float, float]]
    texts: Mapping[str, Sequence[str]]
    shares: Mapping[str, Sequence[float]]

    @classmethod
    def of(
        cls, names: tuple[Sequence[str], Sequence[str]], numeric: np.ndarray, texts: np.ndarray
    ) -> Ranges:
        """Measure the training rows.

        Args:
            names: Of the numeric and of the categorical columns.
            numeric: `[N, F1]`.
            texts: `[N, F2]`.
        """
        edges, limits = {}, {}
        for name, column in zip(names[0], numeric.T, strict=True):
            known = column[~np.isnan(column)]
            deciles = np.quantile(known, np.arange(1, 10) / 10) if len(known) else []
            edges[name] = np.unique(deciles).tolist()
            limits[name] = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        seen = {name: sorted(set(column)) for name, column in zip(names[1], texts.T, strict=True)}
        empty = cls(len(numeric), edges, limits, seen, {})
        drift = Drift(empty)
        drift.add(numeric, texts)
        shares = {name: (found / max(drift.rows, 1)).tolist() for name, found in drift.bins.items()}
        return dataclasses.replace(empty, shares=shares)


class Drift:
    """What new rows hold, counted block by block.

    Args:
        ranges: What the training rows held.

    >>> ranges = Ranges.of((["x"], []), np.arange(100.0)[:, None], np.empty([100, 0], object))
    >>> drift = Drift(ranges)
    >>> drift.add(np.full([50, 1], 500.0), np.empty([50, 0], object))
    >>> drift.lines()
    ["'x': 100 % of the rows are outside 0 to 99; population stability index 8.3."]
    """

    def __init__(self, ranges: Ranges):
        self.ranges = ranges
        self.rows = 0
        self.bins = {name: np.zeros(len(ends) + 2) for name, ends in ranges.edges.items()}
        self.bins |= {name: np.zeros(len(texts) + 1) for name, texts in ranges.texts.items()}
        self._outside: Counter[str] = Counter()
        self._unknown: dict[str, Counter[str]] = {name: Counter() for name in ranges.texts}

    def add(self, numeric: np.ndarray, texts: np.ndarray) -> None:
        """Count some rows; arguments as for `Ranges.of`."""
        self.rows += len(numeric)
        for (name, ends), column in zip(self.ranges.edges.items(), numeric.T, strict=True):
            known = column[~np.isnan(column)]
            low, high = self.ranges.limits[name]
            self._outside[name] += int(((known < low) | (known > high)).sum())
            places = np.searchsorted(ends, known, side="left") + 1
            self.bins[name] += np.bincount(places, minlength=len(ends) + 2)
            self.bins[name][0] += len(column) - len(known)
        for (name, seen), column in zip(self.ranges.texts.items(), texts.T, strict=True):
            counts = Counter(column.tolist())
            self.bins[name] += [*(counts.pop(text, 0) for text in seen), 0]
            self.bins[name][-1] += counts.total()
            self._unknown[name].update(counts)

    def lines(self) -> list[str]:
        """Return a line for each column that differs by more than chance, the worst first."""
        found = []
        for name in self.bins:
            words = self._words(name)
            index = self._index(name)
            if index > max(UNSTABLE, self._by_chance(name)):
                words.append(f"population stability index {index:.1f}")
            if words:
                found.append((index, f"{name!r}: {'; '.join(words)}."))
        return [line for _, line in sorted(found, reverse=True)]

    def _words(self, name: str) -> list[str]:
        rows, outside = max(self.rows, 1), self._outside[name]
        unknown = self._unknown.get(name, Counter())
        words = []
        if outside / rows > TOLD:
            low, high = self.ranges.limits[name]
            words.append(f"{_percent(outside / rows)} of the rows are outside {low:g} to {high:g}")
        if unknown:
            shown = ", ".join(repr(text) for text, _ in unknown.most_common(3))
            more = ", ..." if len(unknown) > 3 else ""
            share = _percent(unknown.total() / rows)
            words.append(
                f"{share} of the rows have texts that training rows had not ({shown}{more})"
            )
        gaps, before = self._gaps(name)
        if gaps - before > max(TOLD, 3.0 * self._deviation(gaps, before)):
            words.append(
                f"{_percent(gaps)} of the cells are missing, {_percent(before)} in training"
            )
        return words

    def _deviation(self, here: float, before: float) -> float:
        """The standard deviation of the difference of two shares that are alike but for chance."""
        rows, trained = max(self.rows, 1), max(self.ranges.rows, 1)
        share = (here * rows + before * trained) / (rows + trained)
        return (share * (1.0 - share) * (1 / rows + 1 / trained)) ** 0.5

    def _gaps(self, name: str) -> tuple[float, float]:
        """The share of missing cells, here and in training."""
        if name in self.ranges.edges:
            place = 0
        elif "" in self.ranges.texts[name]:
            place = list(self.ranges.texts[name]).index("")
        else:
            return 0.0, 0.0  # then a missing cell is an unknown text
        return float(self.bins[name][place]) / max(self.rows, 1), self.ranges.shares[name][place]

    def _index(self, name: str) -> float:
        """The population stability index: `sum (a - e) log(a / e)` over the bins."""
        actual = np.maximum(self.bins[name] / max(self.rows, 1), _LEAST)
        expected = np.maximum(self.ranges.shares[name], _LEAST)
        return float(np.sum((actual - expected) * np.log(actual / expected)))

    def _by_chance(self, name: str) -> float:
        """What the index of as many rows of the same kind exceeds once in a thousand times."""
        from scipy import stats

        freedom = max(len(self.bins[name]) - 1, 1)
        sizes = 1 / max(self.rows, 1) + 1 / max(self.ranges.rows, 1)
        return float(stats.chi2.ppf(0.999, freedom) * sizes)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if 0.0 < share < 0.1 else f"{100 * share:.0f} %"


def ranges_from_json(record: Mapping[str, Any]) -> Ranges:
    """Return the ranges that `dataclasses.asdict` and JSON made a record of."""
    limits = {name: (low, high) for name, (low, high) in record["limits"].items()}
    return Ranges(**{**record, "limits": limits})
