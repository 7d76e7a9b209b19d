"""Concentration, index value and level of a standard, each from the other.

    index = index_lo + (index_hi - index_lo) / (c_hi - c_lo) * (c - c_lo)        within one band

NaN stays NaN, so every result is float64, levels too (they hold whole numbers, 0 is the best).
Any array shape is taken and kept. Arguments that the functions share:

    scale             a key of `scales()`, or a `Scale` of your own
    pollutant         one of the scale's pollutants; "overall" for levels of index values
    concentration     in the unit of that pollutant's column, meant for its averaging time

All raise a ValueError for an unknown scale or pollutant, for negative or infinite values, and for
index values of a scale that has levels only; and a TypeError for values that are not numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policygrad_metrics.aqi.digits import keep, numbers, whole
from policygrad_metrics.aqi.tables import SCALES, Scale
from policygrad_metrics.core.checks import choose

_DEFAULT = "us_epa_2024"


def scales() -> list[str]:
    """Return the keys of all scales.

    >>> scales()[:3]
    ['us_epa_2012', 'us_epa_2015', 'us_epa_2024']
    """
    return list(SCALES)


def get_scale(scale: str | Scale) -> Scale:
    """Return the record of a scale: its document, columns, names, colours and notes.

    Of an unknown key the message offers the nearest one; a `Scale` is returned as it is.

    >>> get_scale("taiwan_2016").document.year
    2016
    >>> get_scale("tawan")
    Traceback (most recent call last):
    ValueError: scale='tawan' is not known; did you mean 'taiwan'? Allowed: ...
    """
    return scale if isinstance(scale, Scale) else SCALES[choose("scale", scale, SCALES)]


def names(scale: str | Scale = _DEFAULT, pollutant: str = "pm25") -> tuple[str, ...]:
    """Return the names of the levels that `pollutant` can reach, best first.

    >>> names("korea")
    ('Good', 'Moderate', 'Unhealthy', 'Very unhealthy')
    """
    record = get_scale(scale)
    return tuple(record.names[band] for band in record.bands(pollutant))


def colours(scale: str | Scale = _DEFAULT, pollutant: str = "pm25") -> tuple[str, ...]:
    """Return the colours, "#RRGGBB", of the levels that `pollutant` can reach, best first.

    >>> colours("us_epa_2024")[:2]
    ('#00E400', '#FFFF00')
    """
    record = get_scale(scale)
    return tuple(record.colours[band] for band in record.bands(pollutant))


def edges(scale: str | Scale = _DEFAULT, pollutant: str = "pm25") -> np.ndarray:
    """Return the upper ends of all levels but the last, float64 `[K - 1]`, in the column's unit.

    These are the standard's published numbers; an end belongs to the better level. See
    `thresholds` for where a value with more digits than the standard keeps changes its level.

    >>> edges("taiwan")
    array([ 15.4,  35.4,  54.4, 150.4, 250.4])
    """
    return get_scale(scale).edges(pollutant)


def thresholds(scale: str | Scale = _DEFAULT, pollutant: str = "pm25") -> np.ndarray:
    """Return the lowest concentration of each level but the first, float64 `[K - 1]`.

    `numpy.digitize(concentration, thresholds(...))` is the level. The steps lie one kept unit
    above the edge where the standard truncates, half a unit where it rounds, and at the very next
    number where it does neither. So Taiwan's steps are those at 15.45, 35.45, ...

    >>> thresholds("taiwan")
    array([ 15.45,  35.45,  54.45, 150.45, 250.45])
    >>> thresholds("us_epa_2012")
    array([ 12.1,  35.5,  55.5, 150.5, 250.5])
    """
    record = get_scale(scale)
    column, ends = record.column(pollutant), record.edges(pollutant)
    if column.step is None or column.rounding == "none":
        return np.nextafter(ends, np.inf)
    units = np.rint(ends * column.step)
    if column.rounding == "truncate":
        return (units + 1) / column.step
    return (2 * units + 1) / (2 * column.step)


def level(
    concentration: npt.ArrayLike, scale: str | Scale = _DEFAULT, pollutant: str = "pm25"
) -> np.ndarray:
    """Return the levels of concentrations: 0 is the best, NaN stays NaN.

    The concentration is first truncated or rounded as the standard does it (`get_scale(...)`
    tells), then compared with `edges`. All above the last edge is the last level.

    Returns:
        float64 of the same shape, holding whole numbers or NaN; `.astype(int)` once NaN is gone.

    >>> level([12.04, 12.1, float("nan")], scale="us_epa_2012")
    array([ 0.,  1., nan])
    >>> level([15.4, 15.44, 15.45], scale="taiwan")
    array([0., 0., 1.])
    """
    record = get_scale(scale)
    column = record.column(pollutant)
    kept = keep(*numbers("concentration", concentration), column)
    position = np.searchsorted(record.edges(pollutant), kept, side="left")
    return np.where(np.isnan(kept), np.nan, position)[()]


def index(
    concentration: npt.ArrayLike, scale: str | Scale = _DEFAULT, pollutant: str = "pm25"
) -> np.ndarray:
    """Return the index (AQI) values of concentrations; NaN stays NaN.

    Piecewise linear between the breakpoints, rounded to whole numbers (halves up; China: always
    up). Above the last breakpoint: the US scales carry the last line on, without limit; India
    carries it on to 500; Taiwan, China and Korea stay at 500. 8-hour ozone stays at 300 and
    1-hour sulphur dioxide at 200 where the standard goes over to another averaging time.

    Returns:
        float64 of the same shape, holding whole numbers or NaN.

    The worked example of EPA's technical assistance document, 8-hour ozone in ppm:

    >>> float(index(0.07853333, scale="us_epa_2024", pollutant="o3"))
    126.0
    """
    record = get_scale(scale)
    column = record.column(pollutant)
    knots, values = record.knots(pollutant)
    kept = keep(*numbers("concentration", concentration), column)
    slope = (values[-1] - values[-2]) / (knots[-1] - knots[-2])
    raw = np.interp(kept, knots, values) + slope * np.maximum(kept - knots[-1], 0.0)
    rounded = whole(raw, record)
    limit = np.inf if column.index_limit is None else column.index_limit
    return np.minimum(rounded, limit)[()]


def concentration(
    index: npt.ArrayLike, scale: str | Scale = _DEFAULT, pollutant: str = "pm25"
) -> np.ndarray:
    """Return the concentrations that have the given index (AQI) values; NaN stays NaN.

    The inverse of `index`, given in the digits that the standard keeps. Converting back gives the
    same index value wherever one unit of the last digit is worth at most one index point (PM2.5 of
    the US scales and Taiwan) or all digits are kept (China); where it is worth more, some index
    values are never taken, and the concentration nearest to the line is returned. At a capped end
    it is the last breakpoint, the lowest concentration with that value.

    Returns:
        float64 of the same shape, in the column's unit.

    Raises:
        ValueError: as for all; or an index value above the column's limit.

    >>> concentration([50, 51, 100], scale="us_epa_2012")
    array([12. , 12.1, 35.4])
    """
    record = get_scale(scale)
    column = record.column(pollutant)
    knots, values = record.knots(pollutant)
    wanted, _ = numbers("index", index)
    limit = column.index_limit
    if limit is not None and np.any(wanted > limit):
        raise ValueError(
            f"index must be at most {limit} for pollutant={pollutant!r} of scale={record.key!r}, "
            f"where the column ends; got {np.nanmax(wanted):g}. Clip the values first."
        )
    slope = (knots[-1] - knots[-2]) / (values[-1] - values[-2])
    raw = np.interp(wanted, values, knots) + slope * np.maximum(wanted - values[-1], 0.0)
    return (raw if column.step is None else np.rint(raw * column.step) / column.step)[()]


def index_level(index: npt.ArrayLike, scale: str | Scale = _DEFAULT) -> np.ndarray:
    """Return the levels of index (AQI) values: 0 is the best, NaN stays NaN.

    A value between two whole numbers is first rounded as the scale rounds its index.

    Returns:
        float64 of the same shape, holding whole numbers or NaN.

    >>> index_level([50, 51, 500], scale="us_epa_2024")
    array([0., 1., 5.])
    """
    record = get_scale(scale)
    if record.index_edges is None:
        having = [key for key, other in SCALES.items() if other.index_edges is not None]
        raise ValueError(
            f"scale={record.key!r} has levels only, no index values: use level(...) on the "
            f"concentrations, or one of {having}."
        )
    rounded = whole(numbers("index", index)[0], record)
    position = np.searchsorted(record.index_edges, rounded, side="left")
    return np.where(np.isnan(rounded), np.nan, position)[()]
