"""Numeric targets that are judged by their levels."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from policygrad_metrics import aqi
from policygrad_metrics.policies import BinnedRegression


@dataclasses.dataclass(frozen=True)
class LevelTarget:
    """Values, and the edges that cut them into levels.

    Args:
        policy: its edges count; center and unit are `placed` at the training targets.
    """

    policy: BinnedRegression
    #: A row has one value.
    multilabel: ClassVar[bool] = False
    label_columns: ClassVar[None] = None

    @classmethod
    def of(
        cls,
        edges: Any,
        scale: str | aqi.Scale | None,
        pollutant: str,
        noise: str,
        logarithm: bool | str,
    ) -> LevelTarget:
        """From the arguments of an estimator.

        Args:
            edges: increasing numbers, or None.
            scale: an air-quality standard instead, or None.
            pollutant: of the scale.
            noise: as for `BinnedRegression`.
            logarithm: the same, or "auto": for the concentrations of a scale.

        Raises:
            ValueError: both edges and scale are given, or neither; or what `BinnedRegression`
                and `pgm.aqi` raise.

        >>> LevelTarget.of([1.0, 2.0], None, "pm25", "normal", "auto").num_classes
        3
        >>> LevelTarget.of(None, None, "pm25", "normal", "auto")
        Traceback (most recent call last):
        ValueError: edges or scale must be given, and not both; both are None. ...
        """
        if (edges is None) == (scale is None):
            came = "both are None" if edges is None else f"edges={edges!r} and scale={scale!r}"
            raise ValueError(
                f"edges or scale must be given, and not both; {came}. Give the inner ends of the "
                "levels, edges=(35, 75), or a standard of pgm.aqi.scales(), scale='taiwan'."
            )
        if not isinstance(logarithm, bool):
            if logarithm != "auto":
                raise ValueError(f'logarithm must be True, False or "auto"; it is {logarithm!r}.')
            logarithm = scale is not None
        if scale is not None:
            policy = BinnedRegression.for_scale(scale, pollutant, noise=noise, logarithm=logarithm)
            # Their own place: what a standard's middle is does not matter, the targets' does.
            policy = dataclasses.replace(policy, center=0.0, unit=1.0)
        else:
            policy = BinnedRegression(edges, noise=noise, logarithm=logarithm)
        return cls(policy)

    @property
    def num_classes(self) -> int:
        """How many levels there are."""
        return len(self.policy.edges) + 1

    @property
    def classes(self) -> np.ndarray:
        """The levels."""
        return np.arange(self.num_classes)

    @property
    def lowest(self) -> float | None:
        """The lowest value there can be: 0 for concentrations."""
        return 0.0 if self.policy.standard else None

    def encode(self, y: Any) -> np.ndarray:
        """The values, checked.

        Raises:
            ValueError: y is text, a concentration is negative, or a value is NaN, infinite (in
                float32, as all that follows) or too low for its logarithm.
        """
        values = np.asarray(y)
        if values.dtype.kind in "US":
            raise ValueError(
                f"y must hold numbers, values in the units of the edges; it holds text, {y[0]!r}. "
                "For named classes there is PolicyGradientClassifier."
            )
        values = values.astype(np.float64)
        least = float(values.min(initial=0.0))
        if self.lowest is not None and least < self.lowest:
            raise ValueError(
                f"y must hold concentrations, 0 or more, for scale={self.policy.standard!r}; the "
                f"lowest is {least:g}. Drop those rows, or set them to 0."
            )
        if self.policy.logarithm and np.float32(least) <= -1.0:
            raise ValueError(
                f"y must be greater than -1 with logarithm=True; the lowest value is {least:g}. "
                "Use logarithm=False, or drop those rows if that is a flag for a missing value."
            )
        bad = np.asarray(self.policy.invalid_values(values))
        if bad.any():
            raise ValueError(
                f"y must hold finite numbers; {int(bad.sum())} of {values.size} are NaN or "
                "infinite in float32. Drop those rows."
            )
        return values

    def decode(self, levels: np.ndarray) -> np.ndarray:
        """Levels are what a metric of your own is given."""
        return levels

    def levels(self, values: Any) -> np.ndarray:
        """The level of each value, int64 `[N]`."""
        return np.asarray(self.policy.level_of(np.asarray(values, np.float64))).astype(np.int64)

    def placed(self, values: np.ndarray, weight: np.ndarray | None) -> BinnedRegression:
        """The policy, its outputs of 0 and 1 near the mean of the values and a deviation above.

        Both are rounded, the deviation to a power of 2 and the mean to a quarter of that: it
        serves the network as well, and fits on much the same values (the folds of a grid search)
        share one compiled program.

        Args:
            values: `[N]`.
            weight: `[N]`, or None.

        >>> target = LevelTarget.of([1.0, 2.0], None, "pm25", "normal", "auto")
        >>> policy = target.placed(np.array([0.0, 1.0, 2.0, 2.3]), None)
        >>> policy.center, policy.unit
        (1.25, 1.0)
        """
        values = np.asarray(values, np.float64)
        if self.policy.logarithm:
            values = np.log1p(values)
        mean = np.average(values, weights=weight)
        spread = np.sqrt(np.average((values - mean) ** 2, weights=weight))
        unit = float(2.0 ** np.round(np.log2(spread))) if spread > 0.0 else 1.0
        center = float(np.round(4.0 * mean / unit) * unit / 4.0)
        return dataclasses.replace(self.policy, center=center, unit=unit)
