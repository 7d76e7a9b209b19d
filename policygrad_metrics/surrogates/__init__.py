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
from policygrad_metrics.surrogates.registry import (
    SOFT_TARGETS,
    SURROGATES,
    Surrogate,
    default_hyperparameters,
    get_surrogate,
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
