"""Bring `y_true` to one entry per site and read it as whole labels.

Keras hands labels over as float32, as often as not with a trailing axis of one. What a label *is*
(a class, a column, a value to be cut) is the policies' business; the shapes are settled here.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no static types; the docstrings give the shapes.


def numeric(argument: str, values: Any) -> Tensor:
    """Return `values` as a tensor of numbers (truth values become 0 and 1).

    Raises:
        ValueError: `values` are text or complex numbers, or their rank is unknown.
    """
    tensor = tf.convert_to_tensor(values)
    if tensor.dtype.is_bool:
        tensor = tf.cast(tensor, tf.int32)
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise ValueError(
            f"{argument} must hold numbers, got dtype {tensor.dtype.name}; number classes "
            "0 .. K-1 first, in their order if they have one: pandas.Categorical(y, [lowest, ..., "
            "highest]).codes (LabelEncoder's is that of the alphabet)."
        )
    if tensor.shape.rank is None:
        raise ValueError(
            f"{argument} must have a known number of axes, got shape {tensor.shape}; call "
            "Tensor.set_shape, or give tf.data's from_generator an output_signature."
        )
    return tensor


def one_per_site(y_true: Tensor, sites: tf.TensorShape, outputs: Any, way_out: str) -> Tensor:
    """Return `y_true`, shape `[*sites]` or `[*sites, 1]`, as `[*sites]`.

    Args:
        y_true: Numbers of known rank.
        sites: The static shape of the sites, unknown sizes allowed.
        outputs: What `sites` comes from, for the error.
        way_out: What to do about a mismatch, for the error.

    Raises:
        ValueError: The shapes do not fit.

    >>> one_per_site(tf.constant([[3], [1]]), tf.TensorShape([2]), tf.zeros([2, 4]), "").numpy()
    array([3, 1], dtype=int32)
    """
    rank = len(sites)
    aligned = y_true
    if y_true.shape.rank == rank + 1 and y_true.shape[-1] == 1:
        aligned = tf.squeeze(y_true, axis=-1)
    if not aligned.shape.is_compatible_with(sites):
        raise ValueError(
            f"y_true of shape {y_true.shape} does not fit outputs of shape {outputs.shape}, which "
            f"have sites of shape {sites}; {way_out}"
        )
    return aligned


def whole_labels(values: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return `values` as int32 labels in [0, classes), and True where they are no such label.

    What is no label becomes *some* label in the range, so that no later gather reads outside its
    table; it is for the caller to refuse or to mask those sites.

    >>> labels, invalid = whole_labels(tf.constant([1.0, 1.5, -1.0, float("nan"), 9.0]), 3)
    >>> labels.numpy(), invalid.numpy()
    (array([1, 2, 0, 0, 2], dtype=int32), array([False,  True,  True,  True,  True]))
    """
    if values.dtype.is_integer:
        values = whole = tf.cast(values, tf.int64)
    else:
        values = tf.cast(values, tf.float32)
        whole = tf.round(tf.where(tf.math.is_finite(values), values, 0.0))
    last = tf.constant(classes - 1, whole.dtype)
    labels = tf.clip_by_value(whole, tf.zeros_like(last), last)
    # NaN equals nothing, itself included.
    return tf.cast(labels, tf.int32), labels != values
