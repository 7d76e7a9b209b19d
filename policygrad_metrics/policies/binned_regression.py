"""A regression whose value is reported as a level: "the right AQI level"."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
import tensorflow as tf

from policygrad_metrics import aqi
from policygrad_metrics.core.checks import choose
from policygrad_metrics.policies.base import Layout, Policy, Truth, as_float32, columns, numeric
from policygrad_metrics.policies.intervals import (
    NOISES,
    log_level_probabilities,
    standard_noise,
)

# In units of `unit`: a learned scale cannot reach zero, where gradients overflow float32.
_SMALLEST_SCALE = 1e-4


@final
@dataclasses.dataclass(frozen=True)
class BinnedRegression(Policy):
    """P(level k) = F((e_k - location) / scale) - F((e_{k-1} - location) / scale).

    The network predicts a value with noise of distribution function F around it, and the edges cut
    the value into levels: level = number of edges < value, so a value on an edge is in the lower
    level. With m and r the first and second output column,

        location = center + unit * m        scale = unit * (softplus(r) + 1e-4)

    With `logarithm` the noise is around log(1 + value), as suits concentrations: location, scale,
    center and unit are then logarithms, and edges are compared as log(1 + e_k).

    Outputs: `[*sites, 2]`, or `[*sites, 1]` with a fixed `scale`; no activation.
    Truth: target *values*, not levels, `[*sites]` or `[*sites, 1]`, in the target's units (for
    example ug/m3); compared with the edges in float32.

    Args:
        edges: K-1 increasing numbers, in the target's units (kept as a tuple).
        noise: F, "normal" or "logistic".
        scale: Fixed scale of the noise in the target's units (the standard deviation, if normal),
            or None: the network's second column.
        center: The value that an output of 0 means. The mean of the training targets is a good one.
        unit: The change in value that an output of 1 means; their standard deviation is good.
        logarithm: Whether the noise is on log(1 + value); values must then be above -1, and any
            other is as invalid as NaN (a sensor's flag of -999, say).
        standard: A note of where the edges come from, saved with a model; `for_scale` writes it.

    Raises:
        ValueError: An argument is not a number, not finite, not positive, or not increasing.

    See `for_scale` for the edges of an air-quality standard.

    >>> policy = BinnedRegression([35.0, 75.0], scale=20.0, center=55.0, unit=30.0)
    >>> outputs = tf.constant([[0.0], [2.0]])
    >>> policy.location(outputs).numpy().tolist(), policy.predict(outputs).numpy().tolist()
    ([55.0, 115.0], [1, 2])
    >>> policy.labels([35.0, 35.1], outputs).numpy()
    array([0, 1], dtype=int32)
    """

    name: ClassVar[str] = "binned_regression"
    _truth_way_out: ClassVar[str] = "give one target value per site, shape [B] or [B, 1]."

    edges: Sequence[float] | np.ndarray
    noise: str = "normal"
    scale: float | None = None
    center: float = 0.0
    unit: float = 1.0
    standard: str = ""
    logarithm: bool = False

    @classmethod
    def for_scale(
        cls,
        scale: str | aqi.Scale,
        pollutant: str = "pm25",
        *,
        noise: str = "normal",
        noise_scale: float | None = None,
        center: float | None = None,
        unit: float | None = None,
        logarithm: bool = False,
    ) -> Self:
        """Return the policy whose levels are those of an air-quality standard.

        The edges lie where an *unrounded* concentration changes its level (`aqi.thresholds`):
        each is the largest float32 number that `aqi.level` still puts into the lower level, so
        that both agree on every float32 concentration, 15.45 and the like included.

        Args:
            scale: A key of `aqi.scales()`, for example "taiwan" or "us_epa_2024".
            pollutant: One of the scale's pollutants; concentrations are in its column's unit.
            noise: As for the class.
            noise_scale: The class's `scale`: fixed, in the column's unit, or None to learn it.
            center: As for the class; by default the middle edge (of two, the mean), or its
                logarithm.
            unit: As for the class; by default the center, so that an output of -1 means a
                concentration of 0; with `logarithm` 1. The mean and standard deviation of your
                data (of their logarithms) are better.
            logarithm: As for the class.

        Raises:
            ValueError: An unknown scale or pollutant (the nearest name is offered); otherwise as
                for the class.

        >>> policy = BinnedRegression.for_scale("taiwan")
        >>> policy.standard, policy.layout(tf.zeros([1, 2])).num_classes, policy.center
        ('taiwan/pm25', 6, 54.45)
        >>> policy.level_of([15.44, 15.45, 35.44, 35.45]).numpy()
        array([0, 1, 1, 2], dtype=int32)
        """
        thresholds = aqi.thresholds(scale, pollutant)
        middle = round(float(np.median(thresholds)), 9)
        if logarithm:
            center = math.log1p(middle) if center is None else center
            unit = 1.0 if unit is None else unit
        return cls(
            edges=_last_below(thresholds, scale, pollutant),
            noise=noise,
            scale=noise_scale,
            center=middle if center is None else center,
            unit=middle if unit is None else unit,
            standard=f"{aqi.get_scale(scale).key}/{pollutant}",
            logarithm=logarithm,
        )

    def on_scale(self, scale: str | aqi.Scale, pollutant: str = "pm25") -> Self:
        """Return the policy that reads the same outputs on another standard's levels.

        A network trained on one standard is re-scored on another without training: noise, center
        and unit, that is the concentrations it predicts, stay; the edges are the other's.

        Raises:
            ValueError: An unknown scale or pollutant.

        >>> policy = BinnedRegression.for_scale("taiwan").on_scale("korea")
        >>> policy.layout(tf.zeros([1, 2])).num_classes, policy.center
        (4, 54.45)
        """
        other = type(self).for_scale(scale, pollutant)
        return dataclasses.replace(self, edges=other.edges, standard=other.standard)

    def __post_init__(self) -> None:
        choose("noise", self.noise, NOISES)
        if not isinstance(self.edges, Iterable):
            raise ValueError(
                f"edges must be a sequence of numbers, got {self.edges!r}; use [edge]."
            )
        edges = tuple(_finite(f"edges[{i}]", edge) for i, edge in enumerate(self.edges))
        if not edges or np.any(np.diff(np.asarray(edges, np.float32)) <= 0.0):
            raise ValueError(
                "edges must be at least one number, strictly increasing in float32, got "
                f"{list(edges)}; sort them and drop duplicates."
            )
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "center", _finite("center", self.center))
        object.__setattr__(self, "unit", _positive("unit", self.unit))
        if self.scale is not None:
            object.__setattr__(self, "scale", _positive("scale", self.scale))
        if self.logarithm and edges[0] <= -1.0:
            raise ValueError(
                f"edges must be above -1 with logarithm=True, got {list(edges)}; leave it out."
            )
        if not isinstance(self.standard, str):
            raise ValueError(
                f"standard must be text, got {self.standard!r}; it only notes where the edges are "
                "from. Use BinnedRegression.for_scale(name) to get a standard's edges."
            )

    def layout(self, outputs: Any) -> Layout:
        sites, found = columns(outputs)
        if self.scale is None and found != 2:
            raise ValueError(
                "outputs of policy 'binned_regression' without a fixed scale must have 2 columns "
                f"(location, scale), got shape {sites.concatenate(found)}; end the network with "
                "Dense(2), or give scale= in the target's units."
            )
        if self.scale is not None and found != 1:
            raise ValueError(
                "outputs of policy 'binned_regression' with a fixed scale must have 1 column "
                f"(location), got shape {sites.concatenate(found)}; end the network with "
                "Dense(1), or leave scale=None to learn it."
            )
        return Layout(sites, len(self.edges) + 1)

    def logits(self, outputs: Any) -> tf.Tensor:
        self.layout(outputs)
        outputs = as_float32(outputs)
        # In units of `unit` around `center`, formed in float64: no digits are lost to an offset.
        edges = np.log1p(self.edges) if self.logarithm else np.asarray(self.edges)
        edges = (edges - self.center) / self.unit
        scale = self._scale_in_units(outputs)
        thresholds = (tf.constant(edges, tf.float32) - outputs[..., :1]) / scale
        widths = tf.constant(np.diff(edges), tf.float32) / scale
        return log_level_probabilities(thresholds, widths, self.noise)

    def location(self, outputs: Any) -> tf.Tensor:
        """Return the point estimate `[*sites]` in the target's units, float32."""
        self.layout(outputs)
        location = self.center + self.unit * as_float32(outputs)[..., 0]
        return tf.math.expm1(location) if self.logarithm else location

    @property
    def output_columns(self) -> int:
        """How many columns the network must have: 2, or 1 with a fixed scale."""
        return 2 if self.scale is None else 1

    def outputs_at(self, values: Any) -> Any:
        """Return the first output column, any shape, that has its location at these values.

        With `logarithm` it is NaN for values of -1 or less, which have none.

        >>> BinnedRegression([35.0], center=50.0, unit=20.0).outputs_at([60.0]).numpy()
        array([0.5], dtype=float32)
        """
        values = tf.cast(numeric("values", values), tf.float32)
        if self.logarithm:
            values = tf.math.log1p(tf.where(values > -1.0, values, float("nan")))
        return (values - self.center) / self.unit

    def log_density(self, y_true: Any, outputs: Any) -> tf.Tensor:
        """Return the log density of the values themselves, `[*sites]`, float32, differentiable.

        log f((y - location) / scale) - log(scale / unit), with f the noise's density: per `unit`,
        so that weights of it mean the same whatever the target is measured in. Nothing is cut
        off: a value beyond the last edge counts as it is. With `logarithm` it is the density of
        log(1 + y).

        Args:
            y_true: Target values, as for `labels`; of those that `invalid_labels` marks the
                density is NaN, with a gradient of zero.
            outputs: The network's outputs.

        >>> policy = BinnedRegression([35.0], scale=20.0, center=50.0, unit=20.0)
        >>> policy.log_density([50.0, 70.0], tf.zeros([2, 1])).numpy().round(4)
        array([-0.9189, -1.4189], dtype=float32)
        """
        values = tf.cast(self._site_values(y_true, outputs)[0], tf.float32)
        outputs = as_float32(outputs)
        location, scale = outputs[..., 0], self._scale_in_units(outputs)
        scale = scale if self.scale is not None else scale[..., 0]
        units, invalid = self.outputs_at(values), self.invalid_values(values)
        # Standardised here: TFP's Normal(location, scale) would subtract two large quotients.
        away = (tf.where(invalid, location, units) - location) / scale
        density = standard_noise(self.noise).log_prob(away) - tf.math.log(scale)
        return tf.where(invalid, float("nan"), density)

    def _scale_in_units(self, outputs: Any) -> Any:
        """The noise's scale in units of `unit`: `[*sites, 1]`, or a scalar if it is fixed."""
        if self.scale is None:
            return tf.nn.softplus(outputs[..., 1:]) + _SMALLEST_SCALE
        return tf.constant(self.scale / self.unit, tf.float32)

    def level_of(self, values: Any) -> tf.Tensor:
        """Return the level of each value, the number of edges below it: int32, any shape.

        By this count NaN is below every edge, and so is a sensor's -999: see `invalid_values`.

        >>> BinnedRegression([35.0, 75.0]).level_of([0.0, 35.0, 36.0, 500.0]).numpy()
        array([0, 0, 1, 2], dtype=int32)
        """
        values = tf.cast(numeric("values", values), tf.float32)
        above = values[..., tf.newaxis] > tf.constant(self.edges, tf.float32)
        return tf.reduce_sum(tf.cast(above, tf.int32), axis=-1)

    def truth(self, y_true: Any, outputs: Any) -> Truth:
        """Read target values: their levels, and which are none (see `invalid_values`)."""
        values, _ = self._site_values(y_true, outputs)
        return Truth(self.level_of(values), self.invalid_values(values))

    def invalid_values(self, values: Any) -> tf.Tensor:
        """Return True where a value, any shape, is no target: it is NaN or infinite in float32.

        With `logarithm` values of -1 or less are none either, such as a sensor's flag of -999.

        >>> BinnedRegression([35.0], logarithm=True).invalid_values([-0.5, -1.0, -999.0]).numpy()
        array([False,  True,  True])
        """
        values = tf.cast(numeric("values", values), tf.float32)
        usable = tf.math.is_finite(values)
        return ~(usable & (values > -1.0)) if self.logarithm else ~usable

    def truth_in_words(self, num_classes: int) -> str:
        """Return what a target value is, for errors."""
        del num_classes
        above = " above -1 (logarithm=True)" if self.logarithm else ""
        return (
            f"finite values{above}. Drop rows without truth: NaN, and flags such as -999 for a "
            "missing value"
        )


def _last_below(
    thresholds: np.ndarray, scale: str | aqi.Scale, pollutant: str
) -> tuple[float, ...]:
    """Return, for each threshold, the largest float32 that the standard puts into the level below.

    Within float32 a few numbers just under 15.45 read as 15.45; so the standard itself is asked.
    """
    edges = []
    for level, threshold in enumerate(thresholds):
        edge = np.float32(threshold)
        while aqi.level(edge, scale, pollutant) > level:
            edge = np.nextafter(edge, np.float32(-np.inf))
        edges.append(float(edge))
    return tuple(edges)


def _finite(argument: str, value: Any) -> float:
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{argument} must be a finite number, got {value!r}.")
    return float(value)


def _positive(argument: str, value: Any) -> float:
    number = _finite(argument, value)
    if number <= 0.0:
        raise ValueError(
            f"{argument} must be greater than 0, got {value!r}; it is in the target's units."
        )
    return number
