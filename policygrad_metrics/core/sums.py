"""Sums and maps over many sites: exact, and in blocks, so that temporaries stay small.

One long float32 sum drifts: each of its roundings may go the same way. Outside of XLA few
operations count most, and sites are summed in float64. Under XLA, and where they are known to be
many, 32 sites are summed in their own precision and the rest, of more than 8,192 sites, in float64.
The change of precision also keeps XLA from merging the two sums into one, which it does with
shorter ones: that is faster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from policygrad_metrics.core._compat import under_xla
from policygrad_metrics.core.batch import Tensor

#: Sites that are summed in their own precision.
UNIT = 32
#: Up to so many sites are summed in their own precision altogether.
SHORT = 8192
#: A table of more numbers than this is worked on in blocks of about `BLOCK` numbers.
WHOLE = 2**24
BLOCK = 2**19
#: A row of so many numbers leaves little of the caches to others: blocks of it save no time, but
#: cost some. Tables of such rows are taken as a whole up to `WHOLE_WIDE` numbers.
WIDE = 2**14
WHOLE_WIDE = 2**26
#: Blocks are whole multiples of so many sites.
STEP = 2 * UNIT


def over_sites(x: Tensor) -> Tensor:
    """Sum x `[..., M, R]` over its sites, to float64 `[..., 1, R]`.

    >>> over_sites(tf.fill([65_536, 1], 0.1)).numpy().round(2).tolist()
    [[6553.6]]
    """
    if not (under_xla() or (x.shape[-2] or 0) > SHORT):
        return tf.reduce_sum(tf.cast(x, tf.float64), axis=-2, keepdims=True)
    x = filled(x, -2, UNIT)
    *lead, sites, ratios = (-1 if size is None else size for size in x.shape)
    parts = tf.reshape(x, [*lead, UNIT, sites if sites < 0 else sites // UNIT, ratios])
    parts = tf.reduce_sum(parts, axis=-3)
    if not 0 <= sites <= SHORT:
        parts = tf.cast(parts, tf.float64)
    return tf.cast(tf.reduce_sum(parts, axis=-2, keepdims=True), tf.float64)


def total(x: Tensor) -> Tensor:
    """Sum x `[M, ...]` over everything, to a float64 scalar.

    >>> float(total(tf.ones([3, 2])))
    6.0
    """
    return tf.reduce_sum(over_sites(tf.reshape(x, [-1, 1])))


def log_product(z: Tensor) -> Tensor:
    """`sum_i log(1 + z_i)` over the sites `[..., M, R]`, to float64 `[..., 1, R]`.

    z lies in [-1, 0].

    >>> round(float(log_product(tf.fill([2, 1], -1.0 + 2.0**-20))[0, 0]), 3)
    -27.726
    """
    if not under_xla():
        return over_sites(tf.math.log1p(tf.maximum(z, -1.0)))
    return over_sites(logs_of_eights(filled(z, -2, UNIT), axis=-2))


def logs_of_eights(z: Tensor, axis: int) -> Tensor:
    """Logarithms of products of eight factors 1 + z, whose number is a multiple of eight.

    Eight sites share a logarithm: `(1 + a)(1 + b) - 1 = a + b (1 + a)` keeps the full relative
    precision of what is near 0, and the product itself that of what is near -1.
    """
    # Probabilities that add up to 1 + 1e-7 make a z below -1, which has no logarithm.
    product = tf.maximum(1.0 + z, 0.0)
    for _ in range(3):
        a, b = tf.split(z, 2, axis=axis)
        c, d = tf.split(product, 2, axis=axis)
        z, product = a + b * (1.0 + a), c * d
    # The product is 1 + z, rounded: what that lost is put back to first order.
    lost = tf.where(z > -0.5, (z - (product - 1.0)) / product, 0.0)
    return tf.math.log(product) + lost


def filled(x: Tensor, axis: int, unit: int, nothing: float = 0.0) -> Tensor:
    """Add what does not matter along an axis, so that its size is a multiple of the unit.

    >>> filled(tf.ones([3]), axis=-1, unit=4).numpy().tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    size: Any = tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
    missing = -size % unit
    if isinstance(missing, int) and missing == 0:
        return x
    more: list[Any] = [[0, 0] for _ in range(x.shape.rank)]
    more[axis] = [0, missing]
    return tf.pad(x, more, constant_values=nothing)


def block_sites(sites: int | None, numbers: int) -> int | None:
    """Sites per block for a table of so many numbers per site, or None if it is taken as a whole.

    Of sizes that leave no site over one is preferred, if it is more than half of what fits.

    >>> block_sites(1000, 80), block_sites(2**20, 64), block_sites(1_000_003, 64)
    (None, 8192, 8192)
    >>> block_sites(None, 64)
    """
    if sites is None or sites * numbers <= (WHOLE_WIDE if numbers >= WIDE else WHOLE):
        return None
    most = max(1, BLOCK // numbers // STEP)
    units = range(most, most // 2, -1)
    return STEP * next((unit for unit in units if sites % (STEP * unit) == 0), most)


def slice_rows(table: Tensor, start: Tensor, size: int) -> Tensor:
    """Rows of a table `[M, ...]`, or all of one that has a single row for every site."""
    if table.shape.rank < 2 or table.shape[0] == 1:
        return table
    # Unlike table[start : start + size] this has a shape that XLA knows.
    return tf.slice(table, [start] + [0] * (table.shape.rank - 1), [size, *table.shape[1:]])


def class_totals(y_true: Tensor, weight: Tensor, num_classes: int) -> Tensor:
    """The weight `[K]` of the sites `[N, 1]` of each class; weights are `[N, 1]` or `[1, 1]`.

    >>> class_totals(tf.constant([[0], [2], [2]]), tf.ones([1, 1]), 3).numpy().tolist()
    [1.0, 0.0, 2.0]
    """
    each = tf.broadcast_to(tf.cast(weight, tf.float64), tf.shape(y_true))
    return tf.cast(tf.math.unsorted_segment_sum(each, y_true, num_classes), tf.float32)


@dataclasses.dataclass(frozen=True)
class Blocks:
    """The sites of a batch, in blocks.

    Args:
        rows: number of sites.
        size: sites per block; None takes all at once.
        whole: the tables of all sites, for `size=None`.
        take: `(start, size)` to the same tables of these sites.
    """

    rows: int | None
    size: int | None
    whole: tuple[Tensor, ...]
    take: Callable[[Any, int], tuple[Tensor, ...]]

    def sum(self, function: Callable[..., list[Tensor]], parts: int) -> list[Tensor]:
        """Add up `function(*tables)`: so many float64 parts of shapes that no site changes."""
        if self.size is None:
            return function(*self.whole)
        stacks, rest = self._each(function, [tf.float64] * parts)
        totals = [tf.reduce_sum(stack, axis=0) for stack in stacks]
        return [a + b for a, b in zip(totals, rest, strict=True)] if rest else totals

    def map(self, function: Callable[..., Tensor], dtype: Any = tf.float32) -> Tensor:
        """Put `function(*tables)`, `[sites, ...]` of that dtype, of all blocks together."""
        if self.size is None:
            return function(*self.whole)
        (stack,), rest = self._each(lambda *tables: [function(*tables)], [dtype])
        done = tf.reshape(stack, [-1, *stack.shape[2:]])
        return tf.concat([done, *rest], axis=0) if rest else done

    def _each(self, function, dtypes):
        """The parts of the full blocks, stacked, and those of the sites left over, if any."""
        assert self.size is not None
        assert self.rows is not None
        size, full, rest = self.size, self.rows // self.size, self.rows % self.size
        stacks = tf.map_fn(
            lambda i: function(*self.take(i * size, size)),
            tf.range(full),
            fn_output_signature=dtypes,
            parallel_iterations=1,
        )
        return stacks, function(*self.take(full * size, rest)) if rest else []
