"""Train Keras networks on the metric itself: F1, accuracy, kappa, the right AQI level.

Names are imported when first used, so that `import policygrad_metrics` costs nothing and the
command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: public name -> module that defines it.
_EXPORTS = {
    name: f"policygrad_metrics.{module}"
    for module, names in {
        "rewards": (
            "Accuracy BalancedAccuracy BlackBox ClassCountReward CohenKappa CountReward FBeta "
            "GainMatrix GeometricMean Hamming Jaccard MatthewsCorrelation NegMeanLevelError "
            "Precision RatioReward Recall Reward Specificity WithinBins WorstClassRecall "
            "cost_matrix get_reward reward_names"
        ),
        "estimators": (
            "ControlVariate DeltaMethod Enumerate Estimate Estimator ExactExpectation "
            "LocalExpectation PoissonBinomial "
            "Reinforce ReusedSamples SamplingEstimator get_estimator"
        ),
        "policies": "BinnedRegression CumulativeLink Policy Sigmoid Softmax get_policy",
        "losses": (
            "FocalLoss PolicyGradientLoss RewardMetric StaircaseStepsLoss SurrogateLoss "
            "TanhStepsLoss"
        ),
        "callbacks": "BackupAndRestore GradientMonitor StopOnBadBatch",
        "surrogates.activations": "SigmoidStaircase",
        "decision": "DecisionTuner",
        "training": "DistributedModel FineTuned balanced_batches finetune shuffled_batches",
        "saving": "DecisionLayer export_decision load_model",
        "study.methods": "Method TaskInfo get_method trial_hyperparameters",
        "tabular": "PolicyGradientClassifier PolicyGradientLevelRegressor reward_scorer",
    }.items()
    for name in names.split()
}

#: Modules that are public as they are.
_MODULES = {
    "air": "air",
    "aqi": "aqi",
    "data": "data",
    "diagnostics": "study.diagnostics",
    "statistics": "study.statistics",
}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"policygrad_metrics.{_MODULES[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS, *_MODULES])
