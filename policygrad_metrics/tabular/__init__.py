"""Networks and boosted trees for tables behind scikit-learn's interface.

`classifier`, `boosting_classifier`, `level_regressor` and `ranker` are the estimators. All but the
last share `reward_estimator`, classifiers also `reward_classifier`, networks also `base`. Under:
`arguments` (what may be passed), `targets` and `level_target` (targets to label numbers and back),
`rows` (merging of examples), `networks` (those of a user's function), `program` (the program of
`training`, shared by fits of one shape), `fitting` (one network's state and its epochs), `scoring`
(a reward as a scikit-learn scorer), `boosting` (objectives and metrics of LightGBM, XGBoost and
CatBoost, the last from `boosting_catboost`), `boosting_loss` (their loss), `trees` (LightGBM's).
"""

from policygrad_metrics.tabular import boosting
from policygrad_metrics.tabular.boosting_classifier import PolicyGradientBoostingClassifier
from policygrad_metrics.tabular.classifier import PolicyGradientClassifier
from policygrad_metrics.tabular.level_regressor import PolicyGradientLevelRegressor
from policygrad_metrics.tabular.ranker import PolicyGradientRanker
from policygrad_metrics.tabular.scoring import reward_scorer

__all__ = [
    "PolicyGradientBoostingClassifier",
    "PolicyGradientClassifier",
    "PolicyGradientLevelRegressor",
    "PolicyGradientRanker",
    "boosting",
    "reward_scorer",
]
