"""Input checks shared by the statistics, and differences without their rounding noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policygrad_metrics.core.checks import check_whole

Floats = NDArray[np.float64]

# Numbers held at once while resampling: 32 MB of float64.
_MOST_NUMBERS = 2**22


def numbers(
    argument: str, values: ArrayLike, dimensions: int, *, allow_nan: bool = False
) -> Floats:
    """Return `values` as float64 with the given number of dimensions, none of them empty.

    Raises:
        ValueError: wrong number of dimensions, nothing in it, not numbers, infinite, or NaN where
            `allow_nan` is false.

    >>> numbers("scores", [1, 2], 1)
    array([1., 2.])
    >>> numbers("scores", [1, float("nan")], 1)
    Traceback (most recent call last):
    ValueError: scores must not contain NaN; got 1 of 2. Give a diverged run the worst score ...
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{argument} must be numbers in {dimensions} dimension(s) without gaps; "
            f"got {type(values).__name__} that numpy cannot convert: {error}."
        ) from error
    if array.ndim != dimensions:
        raise ValueError(
            f"{argument} must have {dimensions} dimension(s); got shape {array.shape}. "
            "Average over seeds, or select one data set, before the call."
        )
    if array.size == 0:
        raise ValueError(f"{argument} must not be empty; got shape {array.shape}.")
    if np.isinf(array).any():
        raise ValueError(
            f"{argument} must be finite; got {int(np.isinf(array).sum())} infinite of "
            f"{array.size}. Replace them before the call."
        )
    if not allow_nan and np.isnan(array).any():
        raise ValueError(
            f"{argument} must not contain NaN; got {int(np.isnan(array).sum())} of {array.size}. "
            "Give a diverged run the worst score that its metric has; only ranks take NaN."
        )
    return array


def pairs(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    """Return two vectors of the same length, element i of one belonging to element i of the other.

    Raises:
        ValueError: one of them is not a vector of finite numbers, or the lengths differ.

    >>> pairs([1, 2], [3])
    Traceback (most recent call last):
    ValueError: a and b must have the same length; got 2 and 1. Pair them by seed, split or ...
    """
    left, right = numbers("a", a, 1), numbers("b", b, 1)
    if left.size != right.size:
        raise ValueError(
            f"a and b must have the same length; got {left.size} and {right.size}. "
            "Pair them by seed, split or data set."
        )
    return left, right


def clean_differences(a: Floats, b: Floats) -> Floats:
    """Return `a - b` without the last digits, which are rounding noise.

    Scores are often short decimals, and .3 - .2 differs from .8 - .7 in the 16th digit; tests that
    rank or add up differences would take such ties for an order. A difference has an error of
    about 1e-16 times its larger operand, so each is rounded at 1e-13 of that, as a decimal.

    >>> import numpy as np
    >>> clean_differences(np.array([0.3, 0.8]), np.array([0.2, 0.7])).tolist()
    [0.1, 0.1]
    """
    larger = np.maximum(np.abs(a), np.abs(b))
    exponent = np.ceil(np.log10(np.where(larger > 0, larger, 1.0)))
    factor = 10.0 ** np.clip(13 - exponent, -300, 300)
    return np.round((a - b) * factor) / factor


def check_level(level: float) -> float:
    """Return the confidence level if it lies between .5 and 1, both excluded.

    Raises:
        ValueError: it does not; a significance such as .05 given by mistake is caught here.

    >>> check_level(0.05)
    Traceback (most recent call last):
    ValueError: level must be a confidence in (.5, 1); got 0.05. Write .95 for a significance ...
    """
    if not 0.5 < level < 1:
        raise ValueError(
            f"level must be a confidence in (.5, 1); got {level!r}. "
            "Write .95 for a significance of .05."
        )
    return float(level)


def check_resampling(resamples: int, seed: int) -> np.random.Generator:
    """Return the generator for `seed` after checking it and the number of resamples.

    Raises:
        ValueError: `resamples` is no whole number, 100 or more, or `seed` none, 0 or more.

    >>> check_resampling(10, seed=0)
    Traceback (most recent call last):
    ValueError: resamples must be a whole number, 100 or more; it is 10.
    """
    check_whole("resamples", resamples, 100)
    check_whole("seed", seed, 0)
    return np.random.default_rng(int(seed))


def batch_of(numbers_each: int) -> int:
    """Return how many resamples of `numbers_each` numbers may be held at once.

    >>> batch_of(1024)
    4096
    """
    return max(1, _MOST_NUMBERS // numbers_each)
