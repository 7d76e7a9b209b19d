"""What all resampling shares: the checks, blocks that bound the memory, and the quantiles."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

# Numbers held at once while resampling: 32 MB of float64.
_MOST_NUMBERS = 2**22


def check_resampling(resamples: int, seed: int) -> np.random.Generator:
    """Return the generator for `seed` after checking it and the number of resamples.

    Raises:
        ValueError: `resamples` is not an integer of at least 100, or `seed` not one of at least 0.

    >>> check_resampling(10, seed=0)
    Traceback (most recent call last):
    ValueError: resamples must be an integer of at least 100; got 10. 2000 or more are usual.
    """
    if not isinstance(resamples, Integral) or resamples < 100:
        raise ValueError(
            f"resamples must be an integer of at least 100; got {resamples!r}. "
            "2000 or more are usual."
        )
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(
            f"seed must be an integer of at least 0; got {seed!r}. "
            "The study's own seed makes the report reproducible."
        )
    return np.random.default_rng(int(seed))


def block_size(numbers_each: int) -> int:
    """Return how many resamples of `numbers_each` numbers may be held at once.

    >>> block_size(1024)
    4096
    """
    return max(1, _MOST_NUMBERS // numbers_each)


def blocks(resamples: int, numbers_each: int) -> Iterator[slice]:
    """Yield consecutive slices that cover all resamples, none holding too many numbers.

    >>> list(blocks(5000, 1024))
    [slice(0, 4096, None), slice(4096, 5000, None)]
    """
    size = block_size(numbers_each)
    for start in range(0, resamples, size):
        yield slice(start, min(start + size, resamples))


def percentiles(draws: ArrayLike, level: float) -> tuple[float, float]:
    """Return the quantiles of `draws` that leave out the same share on both sides.

    >>> [round(bound, 6) for bound in percentiles(range(101), 0.9)]
    [5.0, 95.0]
    """
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [tail, 1 - tail])
    return float(low), float(high)
