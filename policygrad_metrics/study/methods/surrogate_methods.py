"""Cross-entropies and differentiable surrogates of metrics.

Surrogates of soft counts take the average of the reward ("binary" or "macro"); those that can be
put into more than one score (SOL, AnyLoss) take the score that the reward names, else F1.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.methods.base import ANY_TASK, EVERY_TASK, Choice, Method, TaskInfo
from policygrad_metrics.study.methods.variants import CanonicalLoss, MixedBuild, pure_mixed_warm
from policygrad_metrics.surrogates import (
    anyloss,
    cross_entropy,
    double_soft_f1,
    focal,
    lovasz_softmax,
    sigmoid_f1,
    soft_f1,
    soft_kappa,
    sol,
    weighted_cross_entropy,
)
from policygrad_metrics.surrogates.soft_counts import SCORES


def soft_score(info: TaskInfo) -> str:
    """The soft score that is nearest to the reward.

    >>> soft_score(TaskInfo("binary", "jaccard")), soft_score(TaskInfo("binary", "f2"))
    ('jaccard', 'f1')
    """
    reward = get_reward(info.reward)
    name = getattr(reward, "stem", reward.name)
    return name if name in SCORES else "f1"


def disagreement(info: TaskInfo) -> str:
    """The weights of soft kappa: those of a kappa reward, else quadratic for ordered classes."""
    otherwise = "quadratic" if info.task == "ordinal" else "none"
    return getattr(get_reward(info.reward), "weights", otherwise) or "none"


def _counting(function: Any, scored: bool = False) -> MixedBuild:
    """A surrogate that averages as the reward does; `hyper` holds its own arguments."""

    def build(info, hyper, mixed_in):
        own = {key: value for key, value in hyper.items() if key in _OWN}
        if scored:
            own["score"] = soft_score(info)
        return CanonicalLoss(
            info, functools.partial(function, average=info.average, **own), mixed_in
        )

    return build


#: The hyper-parameters of this file that are arguments of a surrogate.
_OWN = ("delta", "L", "beta", "eta")


def _kappa(info, hyper, mixed_in):
    del hyper
    return CanonicalLoss(info, functools.partial(soft_kappa, weights=disagreement(info)), mixed_in)


def _rows(build: MixedBuild, name: str, summary: str, paper: str, **more: Any) -> list[Method]:
    return pure_mixed_warm(build, name, summary, "surrogate", paper, **more)


#: With more classes double soft-F1 equals soft-F1, and expected F is no function of one ranking.
_TWO_CLASSES = frozenset(("binary", "multilabel"))
_CROSS_ENTROPY = Method(
    "cross_entropy",
    "mean negative log-likelihood",
    "cross-entropy",
    "Good 1952, Rational decisions",
    EVERY_TASK,
    build=lambda info, hyper: CanonicalLoss(info, cross_entropy),
)

ROWS: list[Method] = [
    _CROSS_ENTROPY,
    dataclasses.replace(
        _CROSS_ENTROPY,
        name="cross_entropy_frank_wolfe",
        summary="cross-entropy; tuned is the plug-in decision of Frank and Wolfe's method",
        paper="Narasimhan, Ramaswamy, Saha, Agarwal 2015, Complex performance measures",
        tasks=ANY_TASK,
        tuning="frank_wolfe",
    ),
    dataclasses.replace(
        _CROSS_ENTROPY,
        name="cross_entropy_expected_f",
        summary="cross-entropy; tuned is the decision with the largest expected F of the set",
        paper="Ye, Chai, Lee, Chieu 2012, Optimizing F-measures: a tale of two approaches",
        tasks=_TWO_CLASSES,
        tuning="expected_f",
    ),
    Method(
        "weighted_cross_entropy",
        "cross-entropy with weights N / (K N_k), every class counting alike",
        "cross-entropy",
        "King, Zeng 2001, Logistic regression in rare events data",
        EVERY_TASK,
        build=lambda info, hyper: CanonicalLoss(
            info, functools.partial(weighted_cross_entropy, class_weight=info.class_weight)
        ),
    ),
    Method(
        "focal",
        "cross-entropy that looks away from what is already right",
        "cross-entropy",
        "Lin, Goyal, Girshick, He, Dollar 2017, Focal loss for dense object detection",
        EVERY_TASK,
        build=lambda info, hyper: CanonicalLoss(
            info, functools.partial(focal, gamma=hyper["gamma"])
        ),
        hyperparameters={"gamma": Choice(2.0, 0.5, 5.0)},
    ),
    *_rows(
        _counting(soft_f1),
        "soft_f1",
        "F1 of expected counts (Dice; SOL with a uniform threshold)",
        "Milletari, Navab, Ahmadi 2016, V-Net; Marchetti 2022",
    ),
    *_rows(
        lambda info, hyper, mixed_in: CanonicalLoss(info, double_soft_f1, mixed_in),
        "double_soft_f1",
        "mean F1 of expected counts over both classes",
        "Maiza 2019, The unknown benefits of using a soft-F1 loss",
        tasks=_TWO_CLASSES,
    ),
    *_rows(
        _counting(sol, scored=True),
        "sol",
        "score of counts behind a raised-cosine threshold around 1/2",
        "Marchetti, Guastavino, Piana, Campi 2022, Score-oriented loss (SOL) functions",
        delta=Choice(0.3, 0.1, 0.5),
    ),
    *_rows(
        _counting(anyloss, scored=True),
        "anyloss",
        "score of counts of probabilities pushed towards 0 and 1",
        "Han, Moniz, Chawla 2024, AnyLoss",
        L=Choice(73.0, 5.0, 73.0, log=True),
    ),
    *_rows(
        _counting(sigmoid_f1),
        "sigmoid_f1",
        "F1 of counts of a sigmoid that trials tune; untuned it is soft_f1",
        "Benedict, Koops, Odijk, de Rijke 2022, sigmoidF1",
        beta=Choice(1.0, 0.5, 30.0, log=True),
        eta=Choice(0.0, -3.0, 3.0),
    ),
    *_rows(
        _counting(lovasz_softmax),
        "lovasz",
        "the Jaccard loss's convex extension at the probabilities",
        "Berman, Triki, Blaschko 2018, The Lovasz-softmax loss",
    ),
    *_rows(
        _kappa,
        "soft_kappa",
        "Cohen's weighted kappa of expected counts",
        "de la Torre, Puig, Valls 2018, Weighted kappa loss function",
        tasks=frozenset(("binary", "multiclass", "ordinal")),
    ),
]
