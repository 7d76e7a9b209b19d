"""Several policies of one kind whose probabilities are averaged: what an ensemble decides by."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Self, final

import tensorflow as tf

from policygrad_metrics import aqi
from policygrad_metrics.core.checks import check_whole
from policygrad_metrics.policies.base import Layout, Policy, Truth, as_float32, columns
from policygrad_metrics.policies.registry import POLICIES, get_policy


@final
@dataclasses.dataclass(frozen=True)
class Mixture(Policy):
    """pi(k) = 1/M sum_m pi_m(k), the mean of the probabilities of M members.

    Outputs: `[*sites, M D]`, the members' output columns side by side, D as the members' policy
    has them.
    Truth: as for the members' policy, one for each site.

    Args:
        policy: How each member's columns are read; as for `get_policy`.
        members: M.

    Raises:
        ValueError: `members` is no whole number of 1 or more.

    >>> policy = Mixture("sigmoid", 2)
    >>> tf.exp(policy.logits(tf.constant([[0.0, 100.0]]))).numpy().round(3).tolist()
    [[0.25, 0.75]]
    """

    name: ClassVar[str] = "mixture"

    policy: Any
    members: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", get_policy(self.policy))
        check_whole("members", self.members, 1)

    def layout(self, outputs: Any) -> Layout:
        return self.policy.layout(self._parts(outputs)[0])

    def logits(self, outputs: Any) -> tf.Tensor:
        # In float64, as sums in float32 round otherwise at another place among the sites.
        each = tf.stack([self.policy.logits(part) for part in self._parts(outputs)])
        each = tf.nn.log_softmax(tf.cast(each, tf.float64))
        return tf.cast(tf.reduce_logsumexp(each, axis=0) - math.log(self.members), tf.float32)

    def truth(self, y_true: Any, outputs: Any) -> Truth:
        self._site_values(y_true, outputs)  # its errors tell the shape of all columns
        return self.policy.truth(y_true, self._parts(outputs)[0])

    def truth_in_words(self, num_classes: int) -> str:
        return self.policy.truth_in_words(num_classes)

    def location(self, outputs: Any) -> tf.Tensor:
        """Return the mean of the members' locations `[*sites]`; of `BinnedRegression` only.

        With its `logarithm` too this is a mean of values in the target's units.
        """
        each = [self.policy.location(part) for part in self._parts(outputs)]
        return tf.reduce_mean(tf.stack(each), axis=0)

    def on_scale(self, scale: str | aqi.Scale, pollutant: str = "pm25") -> Self:
        """Return the policy on another standard's levels; see `BinnedRegression.on_scale`."""
        return dataclasses.replace(self, policy=self.policy.on_scale(scale, pollutant))

    def _parts(self, outputs: Any) -> list[Any]:
        """The columns of each member."""
        sites, size = columns(outputs)
        if size % self.members:
            raise ValueError(
                f"outputs of policy 'mixture' must have as many columns for each of its "
                f"{self.members} members, got shape {sites.concatenate(size)}; put the members' "
                "outputs side by side."
            )
        return tf.split(as_float32(outputs), self.members, axis=-1)


#: Here and not in the registry, which a mixture asks for its members' policy.
POLICIES[Mixture.name] = Mixture


def member_policy(policy: Policy) -> Policy:
    """Return how a mixture reads each of its members; any other policy as it is."""
    return policy.policy if isinstance(policy, Mixture) else policy
