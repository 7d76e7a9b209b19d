"""Differentiable losses to compare with: pure functions on canonical tensors.

One signature: `surrogate(logits, y_true, weight, **hyperparameters) -> scalar loss to minimise`.

| argument | shape | meaning |
| --- | --- | --- |
| `logits` | float `[N, C, K]` | N examples, C label columns (1 unless multi-label: then K = 2) |
| `y_true` | int `[N, C]` | labels in [0, K), not checked for their range here |
| `weight` | float `[N, C]` | all ones if there are none; 0 removes a row, 2 is the row twice |

All return the scalar, and raise a ValueError or a TypeError where shapes, dtypes or
hyper-parameters are not allowed. `average` is "binary", class 1 of one column of two classes, or
"macro", the mean over the classes of one column, or over class 1 of several columns.

All start from `log_softmax` of the logits, never from the logarithm of a softmax; gradients are
finite at logits of +-1e4. Hyper-parameters that are numbers may be tensors. Losses of rankings
take lists of scores instead, see `rankings.py`.
"""

import inspect
from collections.abc import Callable
from typing import Any

from policygrad_metrics.core.checks import choose
from policygrad_metrics.surrogates.activations import SigmoidStaircase
from policygrad_metrics.surrogates.cross_entropy import cross_entropy, focal, weighted_cross_entropy
from policygrad_metrics.surrogates.lovasz import lovasz_hinge, lovasz_softmax
from policygrad_metrics.surrogates.ordinal import (
    cdw,
    corn,
    oll,
    ranked_probability_score,
    slace,
    sord,
)
from policygrad_metrics.surrogates.rankings import (
    RANKING_SURROGATES,
    approx_ndcg,
    auc_margin,
    listmle,
    listnet,
    pairwise_logistic,
    smooth_ap,
)
from policygrad_metrics.surrogates.soft_counts import (
    double_soft_f1,
    soft_f1,
    soft_fbeta,
    soft_jaccard,
)
from policygrad_metrics.surrogates.soft_kappa import soft_kappa
from policygrad_metrics.surrogates.soft_thresholds import anyloss, sigmoid_f1, sol

__all__ = [
    "RANKING_SURROGATES",
    "SOFT_TARGETS",
    "SURROGATES",
    "SigmoidStaircase",
    "Surrogate",
    "anyloss",
    "approx_ndcg",
    "auc_margin",
    "cdw",
    "corn",
    "cross_entropy",
    "default_hyperparameters",
    "double_soft_f1",
    "focal",
    "get_surrogate",
    "listmle",
    "listnet",
    "lovasz_hinge",
    "lovasz_softmax",
    "oll",
    "pairwise_logistic",
    "ranked_probability_score",
    "sigmoid_f1",
    "slace",
    "smooth_ap",
    "soft_f1",
    "soft_fbeta",
    "soft_jaccard",
    "soft_kappa",
    "sol",
    "sord",
    "weighted_cross_entropy",
]

#: A function `(logits, y_true, weight, **hyperparameters) -> scalar loss`.
Surrogate = Callable[..., Any]

#: name -> function. To add a surrogate, add its function to this folder and its row here.
SURROGATES: dict[str, Surrogate] = {
    "cross_entropy": cross_entropy,
    "weighted_cross_entropy": weighted_cross_entropy,
    "focal": focal,
    "soft_f1": soft_f1,
    "double_soft_f1": double_soft_f1,
    "soft_fbeta": soft_fbeta,
    "soft_jaccard": soft_jaccard,
    "soft_kappa": soft_kappa,
    "sol": sol,
    "anyloss": anyloss,
    "sigmoid_f1": sigmoid_f1,
    "lovasz_softmax": lovasz_softmax,
    "lovasz_hinge": lovasz_hinge,
    "sord": sord,
    "oll": oll,
    "cdw": cdw,
    "slace": slace,
    "corn": corn,
    "ranked_probability_score": ranked_probability_score,
}


#: Surrogates that also take soft targets, `y_true` float `[N, C, K]`.
SOFT_TARGETS = ("cross_entropy", "weighted_cross_entropy")


def get_surrogate(name: str) -> Surrogate:
    """The loss function `surrogate(logits, y_true, weight, **hyperparameters)` of a name.

    Args:
        name: a key of `SURROGATES`, or of `RANKING_SURROGATES`, which takes lists of scores.

    Returns:
        The function.

    Raises:
        ValueError: no such surrogate; the message offers the nearest name.

    >>> get_surrogate("focal").__name__
    'focal'
    """
    known = {**SURROGATES, **RANKING_SURROGATES}
    return known[choose("surrogate", name, known)]


def default_hyperparameters(name: str) -> dict[str, Any]:
    """The keyword arguments of a surrogate with their defaults.

    Args:
        name: as for `get_surrogate`.

    Returns:
        A new dict, in the order of the signature.

    Raises:
        ValueError: no such surrogate; the message offers the nearest name.

    >>> default_hyperparameters("sigmoid_f1")
    {'beta': 1.0, 'eta': 0.0, 'average': 'macro'}
    """
    parameters = inspect.signature(get_surrogate(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
