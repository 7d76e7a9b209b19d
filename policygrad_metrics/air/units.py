"""Concentrations from one unit to another."""

from __future__ import annotations

import numpy as np

_FACTORS = {("ug/m3", "mg/m3"): 1e-3, ("ppb", "ppm"): 1e-3}
#: Grams in a mole of each gas.
_MOLAR = {"o3": 47.998, "no2": 46.006, "so2": 64.064, "co": 28.010}
#: Litres in a mole of gas at 1 K and 1013.25 hPa.
_LITRES = 8.314462618 / 101.325


def convert_unit(
    values: np.ndarray,
    unit: str,
    wanted: str,
    pollutant: str | None = None,
    temperature: float | None = None,
) -> np.ndarray:
    """Return concentrations in another unit.

    Args:
        values: In `unit`.
        unit: "ug/m3", "mg/m3", "ppb" or "ppm".
        wanted: The same.
        pollutant: A gas, to go from a mass to a share of the air.
        temperature: Of that air, in degrees Celsius, at 1013.25 hPa.

    Raises:
        ValueError: One is a mass and the other a share, and it is no gas or has no temperature.

    >>> convert_unit(np.array([0.5]), "mg/m3", "ug/m3")
    array([500.])
    >>> convert_unit(np.array([100.0]), "ug/m3", "ppb", "o3", 25.0).round(2)
    array([50.97])
    """
    if unit == wanted:
        return values
    for (small, large), factor in _FACTORS.items():
        if (unit, wanted) == (small, large):
            return values * factor
        if (unit, wanted) == (large, small):
            return values / factor
    if pollutant not in _MOLAR or temperature is None:
        raise ValueError(
            f"unit={unit!r} cannot be turned into the scale's {wanted!r}: one is a mass, the other "
            "a share of the air, and temperature and pressure lie between. Give the temperature "
            "that the masses are stated for, temperature=25 (--temperature 25; 20 in the European "
            "Union), for gases at 1013.25 hPa."
        )
    per_share = _MOLAR[pollutant] / (_LITRES * (273.15 + temperature))
    if unit.endswith("/m3"):
        return convert_unit(convert_unit(values, unit, "ug/m3") / per_share, "ppb", wanted)
    return convert_unit(convert_unit(values, unit, "ppb") * per_share, "ug/m3", wanted)
