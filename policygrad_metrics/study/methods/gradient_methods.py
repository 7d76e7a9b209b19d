"""Policy gradients: every estimator and baseline; pure, mixed with cross-entropy, warm.

The recommended one is `policy_gradient`: the strongest estimator that the reward allows, with some
cross-entropy mixed in.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from policygrad_metrics.estimators import LocalExpectation, Reinforce
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.losses.running_counts import WINDOW
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.methods.base import ANY_TASK, EVERY_TASK, Choice, Method
from policygrad_metrics.study.methods.variants import WARM_START, MixedBuild, pure_mixed_warm

_PAPERS = {
    "none": "Williams 1992, Simple statistical gradient-following algorithms",
    "moving_average": "Williams 1992; Zaremba, Sutskever 2015",
    "greedy": "Rennie et al. 2017, Self-critical sequence training",
    "leave_one_out": "Kool, van Hoof, Welling 2019, Buy 4 REINFORCE samples",
}
_BASELINES = {
    "none": "no baseline",
    "moving_average": "baseline: the mean of past rewards",
    "greedy": "baseline: the likeliest labels' reward",
    "leave_one_out": "baseline: the other label sets' mean reward",
}


def _loss(info, cross_entropy, **how):
    policy = "plackett_luce" if info.task == "ranking" else info.policy
    subject_to = info.subject_to or None
    return PolicyGradientLoss(
        info.reward, policy, cross_entropy=cross_entropy, subject_to=subject_to, **how
    )


def _gradient(estimator: Any) -> MixedBuild:
    def build(info, hyper, mixed_in):
        del hyper
        cross_entropy = 0.0 if mixed_in is None else mixed_in
        return _loss(
            info, cross_entropy, gradient_estimator=estimator, cross_entropy_weights="equal"
        )

    return build


def _beside_running_counts(info, hyper):
    # Only a function of a caller's own has no counts; it is trained on the batch alone.
    counted = get_reward(info.reward).aggregation != "nothing"
    counts = hyper["running_counts"] if counted else None
    return _loss(info, hyper["cross_entropy"], running_counts=counts)


def _rows(
    name: str, summary: str, paper: str, estimator: Any, tasks: frozenset[str] = EVERY_TASK
) -> list[Method]:
    return pure_mixed_warm(_gradient(estimator), name, summary, "policy gradient", paper, tasks)


#: The strongest estimator; its mixture bears the plain name.
_PURE, _MIXED, _WARM = _rows(
    "policy_gradient",
    "best available gradient of the expected reward",
    "Williams 1992; Ranzato et al. 2016 (mixture)",
    "auto",
)
RECOMMENDED = dataclasses.replace(
    _MIXED,
    name="policy_gradient",
    summary=f"{_PURE.summary}, plus cross-entropy weighted by it",
    paper=f"{_MIXED.paper}; Parambath, Usunier, Grandvalet 2014 (weights)",
    build=lambda info, hyper: _loss(info, hyper["cross_entropy"]),
)

ROWS: list[Method] = [
    RECOMMENDED,
    dataclasses.replace(
        _MIXED, name="policy_gradient_mixed", summary=f"{_PURE.summary}, plus plain cross-entropy"
    ),
    dataclasses.replace(_PURE, name="policy_gradient_pure", summary=f"{_PURE.summary}, alone"),
    _WARM,
    dataclasses.replace(
        RECOMMENDED,
        name="policy_gradient_warm_mixed",
        summary="the same as policy_gradient, after cross-entropy alone",
        warm_start=WARM_START,
    ),
    dataclasses.replace(
        RECOMMENDED,
        name="policy_gradient_running",
        summary="the same as policy_gradient, beside running counts of earlier batches",
        paper="Wang, Fang, Liu 2017, Stochastic compositional gradient descent",
        tasks=ANY_TASK,
        build=_beside_running_counts,
        hyperparameters={
            **RECOMMENDED.hyperparameters,
            "running_counts": Choice(WINDOW, 128.0, 8192.0, log=True),
        },
    ),
    *_rows(
        "local_expectation",
        "sampled label sets, summed exactly over each one label (8 sets)",
        "Titsias, Lazaro-Gredilla 2015, Local expectation gradients",
        LocalExpectation(samples=8),
        ANY_TASK,
    ),
    *(
        row
        for baseline, words in _BASELINES.items()
        for row in _rows(
            f"reinforce_{baseline}",
            f"REINFORCE, 16 label sets, {words}",
            _PAPERS[baseline],
            Reinforce(samples=16, baseline=baseline),  # type: ignore[arg-type]  # a key of its list
        )
    ),
]
