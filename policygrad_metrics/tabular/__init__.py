"""Networks for tables behind scikit-learn's interface (floor 4).

`classifier` is the estimator. Under it: `arguments` (what may be passed), `targets` (labels to
codes and back), `rows` (merging, splitting and batching of examples), `program` (one network and
its training as compiled functions), `fitting` (epochs and early stopping), `scoring` (a reward as
a scikit-learn scorer).
"""

from policygrad_metrics.tabular.classifier import PolicyGradientClassifier
from policygrad_metrics.tabular.scoring import reward_scorer

__all__ = ["PolicyGradientClassifier", "reward_scorer"]
