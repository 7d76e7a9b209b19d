"""The index over all pollutants of an hour, and the scale in force."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from policygrad_metrics.aqi.convert import get_scale, index, level
from policygrad_metrics.aqi.tables import SCALES, Scale
from policygrad_metrics.core.checks import choose


@dataclasses.dataclass(frozen=True, eq=False)
class Overall:
    """The index over all pollutants, arrays of one shape.

    Args:
        level: float64, position in the scale's names, NaN where no pollutant is known.
        index: float64, the highest index value; None for a scale of levels only.
        pollutant: texts, the pollutant that has it (of equal ones the first given); "" where
            none is known.
    """

    level: np.ndarray
    index: np.ndarray | None
    pollutant: np.ndarray


def overall(
    concentrations: Mapping[str, npt.ArrayLike], scale: str | Scale = "us_epa_2024"
) -> Overall:
    """Return the overall index: the highest over pollutants, of those that are known.

    How many pollutants a standard wants at least is not asked; see its document.

    Args:
        concentrations: pollutant -> values in the unit of its column and meant for its averaging
            time; one shape for all, NaN where unknown.
        scale: a key of `scales()`, or a `Scale`.

    Raises:
        ValueError: no pollutant, an unknown one, shapes that differ, negative values.

    >>> found = overall({"pm25": [8.0, 60.0], "o3": [0.06, float("nan")]})
    >>> found.index.tolist(), found.pollutant.tolist(), found.level.tolist()
    ([67.0, 154.0], ['o3', 'pm25'], [1.0, 3.0])
    """
    record = get_scale(scale)
    if not concentrations:
        raise ValueError("concentrations must hold one pollutant at least; it is empty.")
    shapes = {name: np.shape(values) for name, values in concentrations.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"concentrations must have one shape, got {shapes}.")
    names = list(concentrations)
    levels = np.stack([_level(concentrations[name], record, name) for name in names])
    if record.index_edges is None:
        values = levels
    else:
        values = np.stack([index(concentrations[name], record, name) for name in names])
    ranked = np.where(np.isnan(values), -1.0, values)
    known = ranked.max(axis=0) >= 0
    first = np.array(names, object)[ranked.argmax(axis=0)]
    highest = np.where(known, ranked.max(axis=0), np.nan)
    return Overall(
        level=np.where(known, np.where(np.isnan(levels), -1.0, levels).max(axis=0), np.nan),
        index=None if record.index_edges is None else highest,
        pollutant=np.where(known, first, ""),
    )


def _level(values: npt.ArrayLike, record: Scale, pollutant: str) -> np.ndarray:
    """Positions in the scale's names, which a pollutant need not reach all of."""
    found = np.asarray(level(values, record, pollutant))
    places = np.array(record.bands(pollutant), float)
    return np.where(np.isnan(found), np.nan, places[np.nan_to_num(found).astype(int)])


def current(region: str, day: datetime.date | str | None = None) -> str:
    """Return the key of the scale that is in force in a region.

    Args:
        region: "us", "eu", "uk", "china", "india", "korea", "taiwan" or "who".
        day: A date, or one in ISO 8601; None for the newest table.

    Raises:
        ValueError: An unknown region, or a day before its first table.

    >>> current("eu"), current("us", "2020-01-01")
    ('eaqi_2024', 'us_epa_2015')
    """
    found = [(key, s.since, s.until) for key, s in SCALES.items() if s.region == region]
    if not found:
        choose("region", region, {s.region for s in SCALES.values() if s.region})
    if day is None:
        return next(key for key, _, until in found if until is None)
    when = datetime.date.fromisoformat(day) if isinstance(day, str) else day
    for key, since, until in found:
        if since is not None and since <= when and (until is None or when < until):
            return key
    first = min(since for _, since, _ in found if since is not None)
    raise ValueError(
        f"day={day!r}: the first table of region={region!r} is in force since {first}; choose one "
        f"by its key: {', '.join(key for key, *_ in found)}."
    )
