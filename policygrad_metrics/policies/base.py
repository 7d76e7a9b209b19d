"""The policy: from a network's outputs to a distribution over labels.

A policy turns `outputs`, whatever the last layer returns, into one categorical distribution per
*site* (a thing to be labelled), independent given the outputs. It knows nothing of rewards.

Shape legend: `*sites` is `[B]`, `[B, L]` (label columns) or `[B, H, W]` (pixels); K choices a site.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import tensorflow as tf

from policygrad_metrics.core.checks import choose
from policygrad_metrics.policies import tfp


class Layout(NamedTuple):
    """What the shape of a network's outputs means to a policy.

    Args:
        sites: The static shape of the sites.
        num_classes: K, the number of choices per site.
        multilabel: Whether the last axis of the sites holds label columns.
    """

    sites: tf.TensorShape
    num_classes: int
    multilabel: bool = False


class Truth(NamedTuple):
    """What a policy reads in `y_true`.

    Args:
        labels: int32 `[*sites]`, in [0, K).
        invalid: bool `[*sites]`, True where `y_true` is no label.
        rows: float32 `[*sites, K]`, what share of each site is of which class, where `y_true` says
            so (soft targets); None elsewhere.
        invalid_rows: bool `[*sites]`, True where `y_true` is no such share.
    """

    labels: Any
    invalid: Any
    rows: Any = None
    invalid_rows: Any = None


class Policy(abc.ABC):
    """pi(label | outputs) for every site; members are frozen dataclasses.

    A member gives its `name` and the methods `layout` and `logits`; one whose truth is not a class
    number also overrides `truth` and `truth_in_words`. Equality, hash, pickle and the config come
    from its fields. Outputs and truths may be tensors, variables or
    numpy arrays.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def layout(self, outputs: Any) -> Layout:
        """Return what the shape of `outputs` means; nothing else of them is read.

        Raises:
            ValueError: The policy cannot read outputs of that shape.
        """

    @abc.abstractmethod
    def logits(self, outputs: Any) -> tf.Tensor:
        """Return categorical log-odds `[*sites, K]`, float32, differentiable.

        They may lack normalisation: softmax over the last axis gives the probabilities.
        """

    def truth(self, y_true: Any, outputs: Any) -> Truth:
        """Read the truth: its labels, and where it is no label.

        Args:
            y_true: Whole numbers in [0, K) of any numeric type, `[*sites]` or `[*sites, 1]`.
            outputs: The outputs they belong to; only their shape is read.

        Raises:
            ValueError: `y_true` is not numeric or its shape does not fit. Values are not checked:
                what is marked as invalid comes back as some label in the range.
        """
        values, layout = self._site_values(y_true, outputs)
        return Truth(*whole_labels(values, layout.num_classes))

    def labels(self, y_true: Any, outputs: Any) -> tf.Tensor:
        """Return the truth as int32 labels `[*sites]`; arguments and errors as for `truth`."""
        return self.truth(y_true, outputs).labels

    def invalid_labels(self, y_true: Any, outputs: Any) -> tf.Tensor:
        """Return bool `[*sites]`, True where the truth is no label; as for `truth`.

        Plain tensor operations that also run under XLA: what to do about them is the caller's
        decision.
        """
        return self.truth(y_true, outputs).invalid

    def truth_in_words(self, num_classes: int) -> str:
        """Return what `invalid_labels` lets pass and what to do about the rest, for errors."""
        return (
            f"whole numbers from 0 to {num_classes - 1} (K={num_classes} classes). Number classes "
            "from 0 and give the network one output per class. Sites without truth: "
            "ignore_class=255 for a number, sample_weight 0 for NaN, in compile with "
            "weighted_metrics= instead of metrics="
        )

    def predict(self, outputs: Any) -> tf.Tensor:
        """Return the decision, the most probable label of each site: int32 `[*sites]`.

        Of equally probable labels the lowest wins.
        """
        return tf.argmax(self.logits(outputs), axis=-1, output_type=tf.int32)

    def distribution(self, outputs: Any) -> Any:
        """Return a TFP distribution whose event is a whole label set, int32 `[*sites]`.

        `log_prob(labels)` is a scalar, the sum over all sites of log pi(label); `sample(S, seed)`
        has shape `[S, *sites]`.
        """
        logits = self.logits(outputs)
        tfd = tfp.distributions()
        return tfd.Independent(
            tfd.Categorical(logits=logits), reinterpreted_batch_ndims=logits.shape.rank - 1
        )

    def get_config(self) -> dict[str, Any]:
        """Return the policy as plain JSON values: its name and its fields.

        `get_policy` and `from_config` are the way back.
        """
        config: dict[str, Any] = {"name": self.name}
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]
            value = getattr(self, field.name)
            value = value.get_config() if isinstance(value, Policy) else value
            config[field.name] = list(value) if isinstance(value, tuple) else value
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the policy that `get_config` described; left-out fields take their defaults.

        Raises:
            ValueError: The config is another policy's, has an unknown entry or lacks one.
        """
        fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
        arguments = {key: value for key, value in config.items() if key != "name"}
        if config.get("name", cls.name) != cls.name:
            raise ValueError(
                f"config['name'] must be {cls.name!r} for {cls.__name__}, got {config['name']!r}; "
                "use get_policy(config), which picks the class by that name."
            )
        for key in arguments:
            choose(f"policy {cls.name!r} entry", key, [field.name for field in fields])
        missing = [
            field.name
            for field in fields
            if field.default is dataclasses.MISSING and field.name not in arguments
        ]
        if missing:
            raise ValueError(
                f"policy {cls.name!r} needs {', '.join(missing)}, got {sorted(arguments)}; give an "
                f"object, for example {cls.__name__}({', '.join(f'{m}=...' for m in missing)})."
            )
        return cls(**arguments)

    def _site_values(self, y_true: Any, outputs: Any) -> tuple[Any, Layout]:
        outputs = numeric("outputs", outputs)
        y_true, layout = numeric("y_true", y_true), self.layout(outputs)
        return one_per_site(y_true, layout.sites, outputs, self._truth_way_out), layout

    _truth_way_out: ClassVar[str] = "give one whole number per site."


def as_float32(outputs: Any) -> Any:
    """Return `outputs` in float32, up from half precision and down from double.

    Probabilities of thousands of sites are multiplied later on: half precision has not the range.
    """
    return tf.cast(numeric("outputs", outputs), tf.float32)


def columns(outputs: Any) -> tuple[tf.TensorShape, int]:
    """Return the static shape of `outputs` before its last axis, and the size of that axis.

    Raises:
        ValueError: `outputs` have no axis besides a column axis of known size.
    """
    shape = numeric("outputs", outputs).shape
    size = shape[-1] if len(shape) > 1 else None
    if size is None:
        raise ValueError(
            "outputs must have shape [*sites, columns] with a known number of columns, got "
            f"{shape}; end the network with a layer like Dense, or add an axis: outputs[:, None]."
        )
    return shape[:-1], size


def numeric(argument: str, values: Any) -> tf.Tensor:
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


def one_per_site(y_true: tf.Tensor, sites: tf.TensorShape, outputs: Any, way_out: str) -> tf.Tensor:
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


def whole_labels(values: tf.Tensor, classes: int) -> tuple[tf.Tensor, tf.Tensor]:
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
