"""Rewards by name."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

from policygrad_metrics.core.checks import choose
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.black_box import BlackBox
from policygrad_metrics.rewards.counts import (
    GeometricMean,
    HarmonicMean,
    MatthewsCorrelation,
    NegMMAE,
    WorstClassRecall,
)
from policygrad_metrics.rewards.example_costs import ExampleCosts
from policygrad_metrics.rewards.forecasts import SEDI, EquitableThreatScore
from policygrad_metrics.rewards.hierarchical import HierarchicalF
from policygrad_metrics.rewards.levels import (
    Accuracy,
    CohenKappa,
    GainMatrix,
    Hamming,
    NegMeanLevelError,
    WithinBins,
    cost_matrix,
)
from policygrad_metrics.rewards.ranking_metrics import (
    AveragePrecision,
    DiscountedGain,
    PrecisionAtK,
    RecallAtBudget,
    RecallAtK,
    ReciprocalRank,
    RocAuc,
)
from policygrad_metrics.rewards.ratios import AVERAGES, FBeta, Jaccard, Precision, Recall
from policygrad_metrics.rewards.specificity import Specificity
from policygrad_metrics.rewards.true_counts import (
    BalancedAccuracy,
    Gerrity,
    NegAMAE,
    PeirceSkillScore,
)


def _averaged(stem: str, reward: Callable[..., Reward]) -> dict[str, Callable[..., Reward]]:
    names = {average: f"{stem}_{average}" for average in AVERAGES}
    names["binary"] = stem
    if stem == "specificity":
        names = {a: names[a] for a in ("binary", "macro")}
    return {n: functools.partial(reward, average=a) for a, n in names.items()}


#: name -> constructor. To add a reward, add its class to a file of this folder and its row here.
REWARDS: dict[str, Callable[..., Reward]] = {
    **_averaged("f1", FBeta),
    **_averaged("f2", functools.partial(FBeta, beta=2.0)),
    **_averaged("f0.5", functools.partial(FBeta, beta=0.5)),
    **_averaged("jaccard", Jaccard),
    **_averaged("precision", Precision),
    **_averaged("recall", Recall),
    **_averaged("specificity", Specificity),
    "accuracy": Accuracy,
    "hamming": Hamming,
    "within_1": functools.partial(WithinBins, bins=1),
    "within_2": functools.partial(WithinBins, bins=2),
    "neg_mean_level_error": NegMeanLevelError,
    "neg_amae": NegAMAE,
    "neg_mmae": NegMMAE,
    "cohen_kappa": CohenKappa,
    "cohen_kappa_linear": functools.partial(CohenKappa, weights="linear"),
    "cohen_kappa_quadratic": functools.partial(CohenKappa, weights="quadratic"),
    "balanced_accuracy": BalancedAccuracy,
    "matthews_corrcoef": MatthewsCorrelation,
    "g_mean": GeometricMean,
    "h_mean": HarmonicMean,
    "worst_class_recall": WorstClassRecall,
    "peirce_skill_score": PeirceSkillScore,
    "gerrity": Gerrity,
    "equitable_threat_score": EquitableThreatScore,
    "sedi": SEDI,
}

#: Other names in use for the same thing.
ALIASES: dict[str, str] = {
    "exact_match": "accuracy",
    "exact_bin": "accuracy",
    "dice": "f1",
    "dice_macro": "f1_macro",
    "iou": "jaccard",
    "mean_iou": "jaccard_macro",
    "sensitivity": "recall",
    "hamming_accuracy": "hamming",
    "within_1_bin": "within_1",
    "mean_level_error": "neg_mean_level_error",
    "amae": "neg_amae",
    "mmae": "neg_mmae",
    "kappa": "cohen_kappa",
    "linear_kappa": "cohen_kappa_linear",
    "quadratic_kappa": "cohen_kappa_quadratic",
    "quadratic_weighted_kappa": "cohen_kappa_quadratic",
    "qwk": "cohen_kappa_quadratic",
    "mcc": "matthews_corrcoef",
    "geometric_mean": "g_mean",
    "probability_of_detection": "recall",
    "critical_success_index": "jaccard",
    "heidke_skill_score": "cohen_kappa",
    "true_skill_statistic": "peirce_skill_score",
    "gilbert_skill_score": "equitable_threat_score",
}

#: name -> constructor of the rewards of rankings; "@k" after the name of the last four says how
#: many places count.
RANKINGS: dict[str, Callable[..., Reward]] = {
    "average_precision": AveragePrecision,
    "roc_auc": functools.partial(RocAuc, max_fpr=None),
    "partial_roc_auc": functools.partial(RocAuc, max_fpr=0.1),
    "reciprocal_rank": ReciprocalRank,
    "recall_at_budget": RecallAtBudget,
    "ndcg": DiscountedGain,
    "dcg": functools.partial(DiscountedGain, normalized=False),
    "precision@": PrecisionAtK,
    "recall@": RecallAtK,
}
_BY_PLACE = ("ndcg", "dcg", "precision@", "recall@")
#: Other names in use for them.
RANKING_ALIASES = {
    "auc": "roc_auc",
    "pr_auc": "average_precision",
    "map": "average_precision",
    "mrr": "reciprocal_rank",
}

#: Rewards that need more than labels, arguments or costs, and so are in no list of plain names.
_WITH_ARGUMENTS = {
    "gain_matrix": GainMatrix,
    "cost_matrix": cost_matrix,
    "fbeta": FBeta,
    "hierarchical_f": HierarchicalF,
    "example_costs": ExampleCosts,
}


#: Rates that are 1 minus a reward: what is good keeps them low.
COMPLEMENTS = {
    "false_positive_rate": "specificity",
    "false_negative_rate": "recall",
    "false_discovery_rate": "precision",
    "error_rate": "accuracy",
}
#: Other names of these.
COMPLEMENT_ALIASES = {
    "false_alarm_ratio": "false_discovery_rate",
    "miss_rate": "false_negative_rate",
}

#: Metrics of probabilities: they say nothing about labels or rankings.
_OF_PROBABILITIES = {"log_loss", "brier"}


def reward_names() -> list[str]:
    """All names that `get_reward` knows without arguments.

    >>> "f1_macro" in reward_names()
    True
    """
    return sorted({*REWARDS, *ALIASES})


def ranking_names() -> list[str]:
    """All names of rewards of rankings; those that end with "@" need a number of places.

    >>> "average_precision" in ranking_names()
    True
    """
    return sorted({*RANKINGS, *RANKING_ALIASES})


def get_reward(reward: str | Reward | Callable[..., float], **arguments: Any) -> Reward:
    """A reward from its scikit-learn name, an object, or a plain function.

    Args:
        reward: a name such as "f1", "f1_macro", "accuracy", "cohen_kappa_quadratic",
            "within_2", "fbeta_macro" (with `beta=`); a `Reward`; or a Python function
            `f(y_true, y_pred) -> float`, which becomes a `BlackBox`.
        arguments: the reward's own, such as `labels=`, `zero_division=`, `multilabel=`.

    Raises:
        ValueError: the name is not known; the nearest known one is offered.
        TypeError: it is no name, reward or function, has no such argument, or lacks one.

    >>> get_reward("f1_macro", zero_division=1.0).name
    'f1_macro'
    >>> get_reward("fbeta_macro", beta=2).name
    'f2_macro'
    >>> get_reward("f1_marco")
    Traceback (most recent call last):
    ValueError: reward='f1_marco' is not known; did you mean 'f1_macro'? Allowed: ...
    """
    if isinstance(reward, Reward):
        return dataclasses.replace(reward, **arguments) if arguments else reward
    if isinstance(reward, str):
        return _by_name(reward, arguments)
    if isinstance(reward, type) and issubclass(reward, Reward):
        raise TypeError(
            f"reward is the class {reward.__name__}: give an object of it, {reward.__name__}(...)."
        )
    if hasattr(reward, "_score_func") or hasattr(reward, "update_state"):
        raise TypeError(
            f"reward must be a name, a Reward or a function f(y_true, y_pred) -> float; {reward!r} "
            "is a scikit-learn scorer, which takes an estimator, or a Keras metric, which adds up "
            "over calls. Give the metric's function, such as sklearn.metrics.f1_score, or a name."
        )
    if callable(reward):
        _refuse_of_scores(reward)
        return BlackBox(reward, **arguments)
    raise TypeError(
        "reward must be a name, a Reward or a function f(y_true, y_pred) -> float; it is "
        f"{reward!r}."
    )


def _refuse_of_scores(function: Any) -> None:
    """Raise a TypeError for scikit-learn's metrics of scores, which labels would be given to."""
    name = getattr(function, "__name__", "")
    known = name.removesuffix("_score")
    module = getattr(function, "__module__", None) or ""  # what exec defines may have none
    if module.startswith("sklearn.") and known in RANKINGS:
        raise TypeError(
            f"reward {name} is a metric of scores, and a function as a reward is given labels. Use "
            f"{known!r}, which has an exact gradient, or pgm.rewards.RankingReward(function)."
        )


def _by_name(name: str, arguments: dict[str, Any]) -> Reward:
    name = ALIASES.get(name, name)
    within = re.fullmatch(r"within_(\d+)", name)
    if within:
        return _made(name, WithinBins, {"bins": int(within[1]), **arguments})
    if name.startswith("fbeta_") and name.removeprefix("fbeta_") in AVERAGES:
        return _made(name, FBeta, {"average": name.removeprefix("fbeta_"), **arguments})
    if name.lower() in _OF_PROBABILITIES:
        raise ValueError(
            f"reward={name!r} is a metric of probabilities, and a reward here is one of labels or "
            'of rankings. Use SurrogateLoss("cross_entropy") to train on it.'
        )
    _refuse_rate(name)
    name, arguments = _places(RANKING_ALIASES.get(name.lower(), name), arguments)
    known = {**REWARDS, **RANKINGS, **_WITH_ARGUMENTS}
    choose("reward", name, [*known, *ALIASES, *RANKING_ALIASES])
    return _made(name, known[name], arguments)


def _made(name, kind, arguments):
    """The reward of a constructor.

    Raises:
        TypeError: it has no such argument, or lacks one.
    """
    known = inspect.signature(kind).parameters
    for argument in arguments:
        if argument not in known:
            allowed = ", ".join(f"{x}=" for x in known) or "none"
            raise TypeError(
                f"reward {name!r} has no argument {argument}=; it has these: {allowed}."
            )
    needed = [x for x, one in known.items() if one.default is one.empty and x not in arguments]
    if needed:
        given = ", ".join(f"{x}=..." for x in needed)
        raise TypeError(
            f"reward {name!r} has no default for {', '.join(f'{x}=' for x in needed)}: its name "
            f"alone is no reward. Give pgm.get_reward({name!r}, {given}) in place of the name."
        )
    return kind(**arguments)


def _places(name, arguments):
    """The name without its number of places, "ndcg@10", which becomes an argument.

    Raises:
        ValueError: the number is missing, not a whole number above 0, or given twice.
    """
    stem, at, places = name.partition("@")
    key = next((one for one in (stem, f"{stem}@") if one in _BY_PLACE), None)
    if key is None or not at or (not places and "k" in arguments):
        return name, arguments
    if not re.fullmatch(r"[1-9][0-9]*", places):
        every = f"; {stem!r} counts all places" if key == stem else ""
        raise ValueError(
            f"reward={name!r} must say after the @ how many places count, a whole number of 1 or "
            f"more, such as {stem + '@10'!r}{every}."
        )
    if "k" in arguments:
        raise ValueError(f"reward={name!r} says how many places count: leave k= out.")
    return key, {**arguments, "k": int(places)}


def reward_of_rate(name: str) -> str | None:
    """The name of the reward that a rate is 1 minus of, None if it is no such rate.

    >>> reward_of_rate("false_alarm_ratio"), reward_of_rate("false_positive_rate_macro")
    ('precision', 'specificity_macro')
    """
    name = COMPLEMENT_ALIASES.get(name, name)
    for rate, reward in COMPLEMENTS.items():
        if name == rate or name.startswith(f"{rate}_"):
            return reward + name.removeprefix(rate)
    return None


def _refuse_rate(name):
    reward = reward_of_rate(name)
    if reward in REWARDS:
        raise ValueError(
            f"reward={name!r} is a rate to be kept low, and of a reward more is better. Use "
            f"{reward!r}, which is 1 minus it; pgm.at_most({name!r}, 0.1) bounds it."
        )
