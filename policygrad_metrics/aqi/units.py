"""A guard against concentrations given in the wrong unit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policygrad_metrics.aqi.digits import numbers
from policygrad_metrics.core.checks import choose

# Lowest and highest median of a long outdoor series, in ug/m3 and in ppb. Generous on both sides:
# PM2.5 has medians of 1 to 2 ug/m3 in the cleanest places and some 200 in the worst; background
# carbon monoxide is about 100 ug/m3. The two are at most a factor of 1,000 apart: that way every
# series within them falls out once it is a thousand times too small or too large.
_MICROGRAMS = {
    "pm25": (0.5, 500.0),
    "pm10": (1.0, 1000.0),
    "o3": (2.0, 400.0),
    "no2": (0.5, 400.0),
    "so2": (0.2, 200.0),
    "co": (40.0, 20_000.0),
}
_PARTS_PER_BILLION = {
    "o3": (1.0, 200.0),
    "no2": (0.25, 200.0),
    "so2": (0.1, 100.0),
    "co": (40.0, 17_000.0),
}
_PARTNER = {"ug/m3": "mg/m3", "mg/m3": "ug/m3", "ppb": "ppm", "ppm": "ppb"}


def check_units(values: npt.ArrayLike, pollutant: str = "pm25", unit: str = "ug/m3") -> None:
    """Raise if a whole series looks as if it were in a unit a thousand times larger or smaller.

    The median of the series is compared with what long outdoor series of this pollutant have
    anywhere: values said to be ug/m3 (ppb) look like mg/m3 (ppm) if it is below the lowest, for
    PM2.5 0.5 ug/m3; values said to be mg/m3 (ppm) look like ug/m3 (ppb) if it is above the
    highest, for PM2.5 0.5 mg/m3. A median of zero (a clean station, rounded values) tells nothing
    and passes. So does ug/m3 passed as ppb: they differ by a factor of 1 to 3 only. Meant for
    whole series: a few hours can be unusual.

    Args:
        values: any shape; NaN is left out.
        pollutant: "pm25", "pm10", "o3", "no2", "so2" or "co".
        unit: the unit that `values` is said to be in: "ug/m3", "mg/m3", "ppb" or "ppm".

    Raises:
        ValueError: the median does not fit the unit; an unknown pollutant or unit; particles in
            ppm or ppb; no number among the values, negative or infinite ones.
        TypeError: values that are not numbers.

    >>> check_units([35.0, 80.5, 12.1], pollutant="pm25", unit="ug/m3")
    >>> check_units([0.035, 0.0805, 0.0121], pollutant="pm25", unit="ug/m3")
    Traceback (most recent call last):
    ValueError: values look like mg/m3, not ug/m3: their median is 0.035 ug/m3, ...
    """
    choose("pollutant", pollutant, _MICROGRAMS)
    choose("unit", unit, _PARTNER)
    small = "ug/m3" if unit.endswith("/m3") else "ppb"
    ranges = _MICROGRAMS if small == "ug/m3" else _PARTS_PER_BILLION
    if pollutant not in ranges:
        raise ValueError(
            f"unit={unit!r} is for gases; {pollutant!r} are particles: use 'ug/m3' or 'mg/m3'."
        )
    series, _ = numbers("values", values)
    if np.all(np.isnan(series)):
        raise ValueError(
            f"values must hold at least one number to check its unit; got {series.size} values, "
            f"none of them a number. Check the column and its missing values."
        )
    median = float(np.nanmedian(series))
    low, high = ranges[pollutant]
    if unit == small:
        fits, bound, bounded, factor = median == 0 or median >= low, low, "at least", 1000
    else:
        fits, bound, bounded, factor = median <= high / 1000, high / 1000, "at most", 0.001
    if not fits:
        other = _PARTNER[unit]
        raise ValueError(
            f"values look like {other}, not {unit}: their median is {median:g} {unit}, while "
            f"series of {pollutant} have medians of {bounded} {bound:g} {unit}. "
            f"Pass unit={other!r}, or multiply the values by {factor:g}."
        )
