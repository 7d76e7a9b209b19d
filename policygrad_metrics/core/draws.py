"""Draws that are the same in eager, graph and XLA mode.

Float samplers differ between XLA and the rest; integer bits do not. So every draw is made of
`stateless_uniform` bits of the Philox generator, keyed by an explicit seed.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor

_FULL_RANGE: Any = None  # all 2^32 values
#: Up to so many samples all pairs are compared, which then takes less time than sorting.
MOST_PAIRS = 16


def as_seed(seed: Any) -> Tensor:
    """An int, or two int32 numbers, as an int32 tensor `[2]`.

    Raises:
        ValueError: it is neither.

    >>> as_seed(7).numpy().tolist()
    [7, 0]
    """
    if seed is None or not tf.convert_to_tensor(seed).dtype.is_integer:
        raise ValueError(f"seed must be an int, or two int32 numbers; it is {seed!r}.")
    seed = tf.cast(tf.convert_to_tensor(seed), tf.int32)
    return tf.stack([seed, 0]) if seed.shape.rank == 0 else seed


_KEY: contextvars.ContextVar[Any] = contextvars.ContextVar("key", default=None)


@contextlib.contextmanager
def keyed_by(key: Any) -> Iterator[None]:
    """Within, `fold_in` reads this key instead of the bits of its values.

    Draws keyed by outputs change altogether when rounding changes their last bit, as stacking
    replicas does; a trainer that counts its steps gives `key = (seed, step)` and they do not.
    (Keras's own stateless calls pass their state to layers in the same way.)

    Args:
        key: an int, or two int32 numbers; a new one for each step.

    >>> with keyed_by((3, 0)):
    ...     a, b = fold_in(as_seed(1), tf.constant([1.0])), fold_in(as_seed(1), tf.constant([2.0]))
    >>> bool(tf.reduce_all(a == b))
    True
    """
    token = _KEY.set(key)
    try:
        yield
    finally:
        _KEY.reset(token)


def fold_in(seed: Tensor, values: Tensor) -> Tensor:
    """A seed `[2]` that depends on every bit of `values` (float32), and on their order.

    A loss that keys its draws by its inputs needs no counter: nothing is saved, validation
    cannot disturb training, and steps, replicas and resumed runs differ as their inputs do.

    >>> a = fold_in(as_seed(1), tf.constant([1.0, 2.0]))
    >>> bool(tf.reduce_all(a == fold_in(as_seed(1), tf.constant([1.0, 2.0]))))
    True
    >>> bool(tf.reduce_all(a == fold_in(as_seed(1), tf.constant([2.0, 1.0]))))
    False
    """
    key = _KEY.get()
    if key is not None:
        return as_seed(seed) + tf.cast(_scramble(tf.cast(as_seed(key), tf.uint32)), tf.int32)
    bits = tf.reshape(tf.bitcast(tf.cast(values, tf.float32), tf.uint32), [-1])
    place = tf.cast(tf.range(tf.size(bits)), tf.uint32)
    word = _scramble(bits ^ _scramble(place + tf.constant(0x9E3779B9, tf.uint32)))
    halves = tf.stack([tf.reduce_sum(word), tf.reduce_sum(_scramble(word))])
    return as_seed(seed) + tf.bitcast(_scramble(halves), tf.int32)


def _scramble(x: Tensor) -> Tensor:
    """A 32-bit finaliser: every input bit changes half the output bits (Ettinger 2019)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32))) * tf.constant(
            factor, tf.uint32
        )
    return x ^ tf.bitwise.right_shift(x, tf.constant(16, tf.uint32))


def uniforms(seed: Any, shape: Any) -> Tensor:
    """Independent uniforms in (0, 1), 24 bits each, float32.

    >>> u = uniforms(3, [1000])
    >>> bool(tf.reduce_all((u > 0) & (u < 1)))
    True
    """
    return _in_unit_interval(_bits(seed, shape))


def latin_uniforms(seed: Any, samples: int, sites: Any) -> Tensor:
    """A Latin hypercube over samples: `[S, *sites]`, one uniform of each site per stratum.

    Each site's S uniforms fall in S different strata of (0, 1), in random order, independently
    over sites (McKay, Beckman & Conover 1979). Every single sample is uniform.

    >>> u = latin_uniforms(3, 4, [5])
    >>> tf.sort(tf.cast(u * 4, tf.int32), axis=0)[:, 0].numpy().tolist()
    [0, 1, 2, 3]
    """
    shape = tf.concat([[2, samples], sites], axis=0)
    bits = tf.reshape(_bits(seed, shape), [2, samples, -1])
    # The order of random keys is a random permutation.
    stratum = tf.cast(_ranks(tf.bitcast(bits[0], tf.int32), samples), tf.float32)
    within = _in_unit_interval(bits[1])
    # A product: graphs make one of a division by a constant, and round it otherwise.
    uniform = tf.minimum((stratum + within) * (1.0 / samples), 1.0 - 2.0**-24)
    return tf.reshape(uniform, shape[1:])


def _ranks(keys, samples):
    """How many keys of its column `[S, M]` each exceeds; ties go by place."""
    if samples > MOST_PAIRS:
        # The place of each key in the order of its column, by two sorts of whole numbers.
        order = tf.argsort(tf.transpose(keys), stable=True)
        return tf.transpose(tf.argsort(order, stable=True))
    earlier = (tf.range(samples)[:, None] > tf.range(samples)[None, :])[:, :, None]
    below = (keys[None] < keys[:, None]) | ((keys[None] == keys[:, None]) & earlier)
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=1)


def categorical(probs: Tensor, uniform: Tensor) -> Tensor:
    """Labels by inversion: `probs [*sites, K]`, `uniform [S, *sites]` to int32 `[S, *sites]`.

    >>> categorical(tf.constant([[0.2, 0.8]]), tf.constant([[0.1], [0.3]])).numpy().tolist()
    [[0], [1]]
    """
    below = tf.cast(uniform[..., None] > tf.cumsum(probs, axis=-1), tf.int32)
    # Rounding may leave the last sum just below a uniform: clamp instead of slicing it off,
    # which XLA on a CPU compiles to something four times slower.
    return tf.minimum(tf.reduce_sum(below, axis=-1), probs.shape[-1] - 1)


def independent_labels(probs: Tensor, samples: int, seed: Any) -> Tensor:
    """S independent label sets of the policy `[N, C, K]`, int32 `[S, N, C]`.

    >>> independent_labels(tf.ones([5, 1, 2]) / 2, 3, seed=1).shape.as_list()
    [3, 5, 1]
    """
    uniform = uniforms(seed, tf.concat([[samples], tf.shape(probs)[:-1]], axis=0))
    return tf.ensure_shape(categorical(probs, uniform), [samples, *probs.shape[:-1]])


def _in_unit_interval(bits):
    """Uniforms of 24 bits; 2^24 - 1/2 is no float32 and would round to 1."""
    high = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32)
    return tf.minimum((high + 0.5) / 2.0**24, 1.0 - 2.0**-24)


def _bits(seed, shape):
    return tf.random.stateless_uniform(
        shape, as_seed(seed), minval=_FULL_RANGE, maxval=_FULL_RANGE, dtype=tf.uint32, alg="philox"
    )
