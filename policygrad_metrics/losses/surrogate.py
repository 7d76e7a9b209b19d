"""Keras losses that are surrogates of a metric, on the same outputs and policies."""

from __future__ import annotations

from typing import Any

import keras

from policygrad_metrics.losses.base import SiteLoss
from policygrad_metrics.policies import PlackettLuce, Policy, get_policy
from policygrad_metrics.surrogates import RANKING_SURROGATES, SOFT_TARGETS, get_surrogate


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class SurrogateLoss(SiteLoss):
    """A differentiable surrogate of a metric as a Keras loss, on the same outputs and policies.

    Args:
        surrogate: "cross_entropy", "weighted_cross_entropy", "focal", "soft_f1",
            "double_soft_f1", of ordered classes "sord", "oll", "cdw", "slace", "corn", of rankings
            "pairwise_logistic", "listnet", "listmle", "approx_ndcg", "smooth_ap",
            "auc_margin", ...; see `policygrad_metrics.surrogates`.
        policy: as for `PolicyGradientLoss`; of rankings it is "plackett_luce".
        reduction, name: as in Keras.
        from_logits, ignore_class: as for `PolicyGradientLoss`.
        hyperparameters: the surrogate's own, such as `gamma=` for focal.

    "cross_entropy" and "weighted_cross_entropy" also take soft targets (mixup, label smoothing):
    rows of shares for a softmax, numbers from 0 to 1 for a sigmoid.

    >>> import policygrad_metrics as pgm
    >>> round(float(pgm.SurrogateLoss("cross_entropy")([1], [[0.0, 0.0, 0.0, 0.0]])), 3)
    1.386
    """

    def __init__(
        self,
        surrogate: str,
        policy: str | Policy = "auto",
        reduction: str = "sum_over_batch_size",
        name: str = "surrogate_loss",
        dtype: Any = None,
        from_logits: bool = True,
        ignore_class: int | None = None,
        **hyperparameters: Any,
    ):
        self._function = get_surrogate(surrogate)
        self._ranks = surrogate in RANKING_SURROGATES
        if self._ranks:
            policy = "plackett_luce" if policy == "auto" else policy
            if not isinstance(get_policy(policy), PlackettLuce):
                raise ValueError(
                    f"policy={policy!r} has labels, and surrogate={surrogate!r} is of rankings: "
                    'leave policy="auto".'
                )
        super().__init__(policy, name, reduction, dtype, from_logits, ignore_class=ignore_class)
        self.surrogate = surrogate
        self.soft = surrogate in SOFT_TARGETS
        self.hyperparameters = hyperparameters

    def batch_loss(self, batch):
        """The surrogate of one batch."""
        truth = batch.y_true if batch.rows is None else batch.rows
        outputs = batch.logits[..., 0] if self._ranks else batch.logits
        return self._function(outputs, truth, batch.weight, **self.hyperparameters)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "surrogate": self.surrogate, **self.hyperparameters}


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class FocalLoss(SurrogateLoss):
    """Focal loss from logits: `-alpha (1 - p_t)^gamma log p_t` (Lin et al. 2017).

    Args:
        gamma: 0 or more; 0 is cross-entropy.
        alpha: None, the weight of class 1 of two, or one weight per class.
        policy, reduction, name, from_logits, ignore_class: as for `PolicyGradientLoss`.

    >>> import policygrad_metrics as pgm
    >>> round(float(pgm.losses.FocalLoss(gamma=0.0)([1], [[0.0, 0.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        gamma=2.0,
        alpha=None,
        policy="auto",
        reduction="sum_over_batch_size",
        name="focal_loss",
        dtype=None,
        from_logits=True,
        ignore_class=None,
    ):
        settings = policy, reduction, name, dtype, from_logits, ignore_class
        super().__init__("focal", *settings, gamma=gamma, alpha=alpha)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["surrogate"]
        return config
