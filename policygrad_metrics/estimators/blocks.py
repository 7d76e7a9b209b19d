"""Sums and maps over many sites in blocks, so that temporaries stay small (floor 1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from policygrad_metrics.sites import Tensor

#: A table `[M, R]` of more numbers than this is worked on in blocks of about `BLOCK` numbers.
WHOLE = 2**21
BLOCK = 2**18


def block_sites(sites: int | None, ratios: int) -> int | None:
    """Sites per block for a table `[sites, ratios]`, or None if it is taken as a whole.

    >>> block_sites(1000, 10), block_sites(2**20, 8), block_sites(None, 8)
    (None, 32768, None)
    """
    if sites is None or sites * ratios <= WHOLE:
        return None
    return max(32, BLOCK // ratios // 32 * 32)


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

    def sum(self, function: Callable[..., list[Tensor]]) -> list[Tensor]:
        """Add up `function(*tables)`, a list of tensors whose shapes do not depend on the sites."""
        if self.size is None:
            return function(*self.whole)
        size, full, rest = self._parts()
        total = function(*self.take(0, size))

        def more(i, *total):
            part = function(*self.take(i * size, size))
            return (i + 1, *(a + b for a, b in zip(total, part, strict=True)))

        _, *total = tf.while_loop(lambda i, *_: i < full, more, (tf.constant(1), *total))
        if rest:
            part = function(*self.take(full * size, rest))
            total = [a + b for a, b in zip(total, part, strict=True)]
        return total

    def map(self, function: Callable[..., Tensor]) -> Tensor:
        """Put `function(*tables)`, `[sites, ...]`, of all blocks together."""
        if self.size is None:
            return function(*self.whole)
        size, full, rest = self._parts()
        blocks = tf.map_fn(
            lambda i: function(*self.take(i * size, size)),
            tf.range(full),
            fn_output_signature=tf.float32,
            parallel_iterations=1,
        )
        done = tf.reshape(blocks, [full * size, *blocks.shape[2:]])
        if not rest:
            return done
        return tf.concat([done, function(*self.take(full * size, rest))], axis=0)

    def _parts(self):
        assert self.size is not None
        assert self.rows is not None
        return self.size, self.rows // self.size, self.rows % self.size
