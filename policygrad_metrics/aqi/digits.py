"""The digits that a standard keeps, of concentrations and of index values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policygrad_metrics.aqi.tables import Column, Scale

# Rounding errors of averaging and of linear interpolation lie far below this, and digits that are
# measured far above: a value this close to a kept digit (or a tie) counts as being there.
_SLACK = 1e-11


def numbers(argument: str, values: npt.ArrayLike) -> tuple[np.ndarray, float]:
    """Return `values` as float64, masked ones as NaN, and the relative precision they came with.

    Raises:
        TypeError: values that are not real numbers.
        ValueError: negative or infinite values.

    >>> numbers("concentration", [1, 2])
    (array([1., 2.]), 0.0)
    """
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    array = np.asarray(values)
    if array.dtype.kind not in "fiubO":
        raise TypeError(
            f"{argument} must be real numbers (NaN where missing); got dtype {array.dtype}. "
            f"Convert it to float first."
        )
    try:
        result = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{argument} must be real numbers (NaN where missing); got {type(values).__name__} "
            f"that does not convert: {error}. Convert it to float first."
        ) from error
    wrong = (result < 0) | np.isinf(result)
    if np.any(wrong):
        raise ValueError(
            f"{argument} must be 0 or more and finite, or NaN where missing; got "
            f"{np.count_nonzero(wrong)} other value(s), the first {result[wrong][0]:g}. "
            f"Replace codes of missing values such as -999 by NaN."
        )
    return result, float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0


def keep(values: np.ndarray, epsilon: float, column: Column) -> np.ndarray:
    """Return concentrations in the digits that the standard keeps.

    A decimal such as 15.4 is stored as the nearest binary number, which may lie just below it
    (it does in float32); so the cut is made with a tolerance of that precision.

    Args:
        values: float64, any shape.
        epsilon: the relative precision that the values came with, of float32 for instance.
        column: tells the digits, and whether they are truncated or rounded (halves up).

    >>> column = Column("pm25", "ug/m3", "24 h", (12.0,), decimals=1, rounding="truncate")
    >>> keep(np.array([12.04, 35.4]), 0.0, column)
    array([12. , 35.4])
    """
    if column.step is None or column.rounding == "none":
        return values
    units = values * column.step
    slack = units * max(epsilon, _SLACK)
    cut = np.floor(units + slack if column.rounding == "truncate" else units + 0.5 + slack)
    return cut / column.step


def whole(raw: np.ndarray, scale: Scale) -> np.ndarray:
    """Return index values as whole numbers by the scale's rule: halves up, or always up."""
    slack = np.maximum(raw, 1.0) * _SLACK
    return np.ceil(raw - slack) if scale.index_rounding == "up" else np.floor(raw + 0.5 + slack)
