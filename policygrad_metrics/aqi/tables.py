"""The records that hold an air-quality standard, one column of its table per pollutant.

A standard's table gives, for each pollutant, the upper ends of bands of concentration and the
index (AQI) value at each of them. Levels are the named, coloured groups of those bands: level 0
is the best. Scales without index values (the European index, the WHO guidelines) have levels only.
"""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.records import as_tuples

Rounding = Literal["truncate", "nearest", "none"]
#: In the place of a pollutant: the index over all pollutants.
OVERALL = "overall"


@dataclass(frozen=True)
class Document:
    """Where a table comes from."""

    title: str
    issuer: str
    year: int
    section: str


@dataclass(frozen=True)
class Column:
    """One pollutant's column of a standard's table.

    Attributes:
        pollutant: "pm25", "pm10", "o3", "no2", "so2" or "co".
        unit: "ug/m3", "mg/m3", "ppm" or "ppb".
        averaging: the averaging time that the concentrations are meant for.
        upper: upper ends of the bands, in `unit`, ascending; an upper end belongs to its band.
        index: index value at each upper end; None where the scale has levels only.
        decimals: decimals of a concentration that the standard keeps; None keeps all.
        rounding: how the other decimals go: "truncate", "nearest" (halves up), or "none".
        index_limit: the highest index value that this column gives; None is no limit. Above the
            last of `index` the last band's line is carried on up to this value. A limit equal to
            the last of `index` is a plain cap, and no level lies above it.
        bands: positions in the scale's names of this column's levels; None is 0, 1, 2, ...
    """

    pollutant: str
    unit: str
    averaging: str
    upper: tuple[float, ...]
    index: tuple[int, ...] | None = None
    decimals: int | None = None
    rounding: Rounding = "none"
    index_limit: int | None = None
    bands: tuple[int, ...] | None = None

    @property
    def step(self) -> float | None:
        """How many kept units one unit of concentration has; None where all digits are kept."""
        return None if self.decimals is None else 10.0**self.decimals


@dataclass(frozen=True)
class Scale:
    """One air-quality standard.

    Attributes:
        key: the name to select it by.
        title: the name people know it by.
        document: where the numbers come from.
        names: level names, best first.
        colours: the levels' colours, "#RRGGBB".
        columns: one column per pollutant.
        index_edges: the highest index value of each level but the last; None: levels only.
        index_rounding: how an index value becomes a whole number: "nearest" (halves up) or "up".
        gapped: whether a band starts one kept unit (and one index value) above the end of the
            band before it (12.0 | 12.1, 50 | 51), or right at that end.
        notes: what the standard leaves open, what was left out of it, and what was decided here.
        region: whose standard it is: "us", "eu", "china", ...; None for one of your own.
        since: the first day that it was in force.
        until: the first day that it was so no more; None: it is in force.
    """

    key: str
    title: str
    document: Document
    names: tuple[str, ...]
    colours: tuple[str, ...]
    columns: tuple[Column, ...]
    index_edges: tuple[int, ...] | None = None
    index_rounding: Literal["nearest", "up"] = "nearest"
    gapped: bool = False
    notes: tuple[str, ...] = ()
    region: str | None = None
    since: datetime.date | None = None
    until: datetime.date | None = None

    @property
    def pollutants(self) -> tuple[str, ...]:
        """The pollutants this scale has a column for."""
        return tuple(column.pollutant for column in self.columns)

    def column(self, pollutant: str) -> Column:
        """Return the column of `pollutant`; of "overall" that of the index itself.

        Raises:
            ValueError: this scale has no such column; the message offers the nearest name.
        """
        if pollutant == OVERALL:
            return self._overall
        name = choose(f"pollutant (of scale {self.key!r})", pollutant, self.pollutants)
        return next(column for column in self.columns if column.pollutant == name)

    @property
    def _overall(self) -> Column:
        """Index values against the levels' ends; where there are none, the levels themselves."""
        averaging = "each pollutant's own"
        if self.index_edges is None:
            between = tuple(level + 0.5 for level in range(len(self.names) - 1))
            return Column(OVERALL, "level", averaging, between)
        ends = tuple(map(float, self.index_edges))
        return Column(OVERALL, "index", averaging, ends, decimals=0, rounding="nearest")

    def edges(self, pollutant: str) -> np.ndarray:
        """Return the upper ends of all levels of `pollutant` but the last, ascending, float64."""
        column = self.column(pollutant)
        if column.index is None or self.index_edges is None:
            return np.array(column.upper)
        limit = np.inf if column.index_limit is None else column.index_limit
        return np.array(
            [
                upper
                for upper, index in zip(column.upper, column.index, strict=True)
                if index in self.index_edges and index < limit
            ]
        )

    def bands(self, pollutant: str) -> tuple[int, ...]:
        """Return, for each level of `pollutant`, its position in `names` and `colours`."""
        column = self.column(pollutant)
        return column.bands or tuple(range(len(self.edges(pollutant)) + 1))

    def knots(self, pollutant: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (concentrations, index values) between which the index is linear.

        Raises:
            ValueError: the scale has levels only.
        """
        column = self.column(pollutant)
        if column.index is None:
            raise ValueError(
                f"scale={self.key!r} has levels only, no index values: use level(...) and "
                f"edges(...) with it, or a scale that has an index."
            )
        step = column.step or 1.0
        concentrations, indices = [0.0], [0.0]
        for upper, index in zip(column.upper, column.index, strict=True):
            if self.gapped and indices[-1] > 0:
                # Whole units over a power of ten: the double nearest to the decimal, as 12.1 is.
                concentrations.append((np.rint(concentrations[-1] * step) + 1) / step)
                indices.append(indices[-1] + 1)
            concentrations.append(upper)
            indices.append(float(index))
        return np.array(concentrations), np.array(indices)


def _read() -> dict[str, Scale]:
    text = (
        resources.files("policygrad_metrics.aqi")
        .joinpath("standards.toml")
        .read_text(encoding="utf-8")
    )
    entries = tomllib.loads(text)
    return {key: _scale(key, _whole(entry, entries)) for key, entry in entries.items()}


def _whole(entry: dict[str, Any], entries: dict[str, Any]) -> dict[str, Any]:
    """Fill an entry that is `like` another one with what that one says."""
    if "like" not in entry:
        return {**entry}
    own = {name: value for name, value in entry.items() if name != "like"}
    base = {name: value for name, value in entries[entry["like"]].items() if name != "until"}
    return {**base, **own, "columns": {**base["columns"], **own["columns"]}}


def _scale(key: str, entry: dict[str, Any]) -> Scale:
    rounding = entry.pop("rounding", "none")
    columns = tuple(
        Column(pollutant, rounding=rounding, **as_tuples(column))
        for pollutant, column in entry.pop("columns").items()
    )
    document = Document(**entry.pop("document"))
    return Scale(key=key, document=document, columns=columns, **as_tuples(entry))


#: The standards of the data file `standards.toml`, which names their sources.
SCALES: dict[str, Scale] = _read()
