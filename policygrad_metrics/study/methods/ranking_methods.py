"""Differentiable losses of rankings, the batch being the list."""

from __future__ import annotations

from policygrad_metrics.losses.surrogate import SurrogateLoss
from policygrad_metrics.study.methods.base import Choice, Method


def _row(name: str, summary: str, paper: str, **hyperparameters: Choice) -> Method:
    return Method(
        name,
        summary,
        "surrogate",
        paper,
        frozenset({"ranking"}),
        build=lambda info, hyper: SurrogateLoss(name, **hyper),
        hyperparameters=hyperparameters,
    )


_TEMPERATURE = Choice(1.0, 0.05, 2.0, log=True)

ROWS: list[Method] = [
    _row(
        "pairwise_logistic",
        "logistic loss of every pair of which one ranks higher (RankNet)",
        "Burges et al. 2005, Learning to rank using gradient descent",
    ),
    _row(
        "listnet",
        "cross-entropy of the chances to be ranked first",
        "Cao, Qin, Liu, Tsai, Li 2007, Learning to rank: from pairwise to listwise approach",
    ),
    _row(
        "listmle",
        "likelihood of the true order under Plackett-Luce",
        "Xia, Liu, Wang, Zhang, Li 2008, Listwise approach to learning to rank",
    ),
    _row(
        "approx_ndcg",
        "NDCG at ranks made of sigmoids",
        "Qin, Liu, Li 2010, A general approximation framework",
        temperature=_TEMPERATURE,
    ),
    _row(
        "smooth_ap",
        "average precision with ranks made of sigmoids",
        "Brown, Xie, Kalogeiton, Zisserman 2020, Smooth-AP",
        temperature=_TEMPERATURE,
    ),
    _row(
        "auc_margin",
        "squared margin between the mean chances of both classes, and their variances (LibAUC)",
        "Yuan, Yan, Sonka, Yang 2021, Large-scale robust deep AUC maximization",
        margin=Choice(1.0, 0.1, 1.0),
    ),
]
