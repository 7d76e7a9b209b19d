"""The plug-in classifier of Frank and Wolfe's method.

Narasimhan, Ramaswamy, Saha, Agarwal 2015, "Consistent multiclass algorithms for complex performance
measures": a reward psi(C) of the confusion matrix is climbed in the space of confusion matrices,

    G_t = grad psi(C_t)      h_t(x) = arg-max_j sum_i G_t[i, j] p_i(x)
    C_{t+1} = (1 - 2 / (t + 2)) C_t + 2 / (t + 2) C[h_t]

Each step's h is the best decision for a table of gains, a richer family than class offsets.
"""

from __future__ import annotations

import numpy as np

from policygrad_metrics.decision.rules import ArgMax, PluginGain, Rule
from policygrad_metrics.decision.scorer import Scorer
from policygrad_metrics.decision.sweeps import TIE


def frank_wolfe(p: np.ndarray, scorer: Scorer, iterations: int = 50) -> Rule:
    """Return the best of the method's decisions on these data.

    The paper's classifier draws one of the h_t at random; a decision that differs from call to
    call helps nobody, so the h_t (or the arg-max) of the best reward is returned.

    Args:
        p: `[N, C, K]`.
        scorer: of the same data.
        iterations: steps, at least 1.

    Raises:
        ValueError: the reward is no function of confusion tables.
    """
    rule: Rule = ArgMax()
    labels = rule.decide(p)
    current = scorer.tables(labels) / scorer.weight.sum()
    best, best_score = rule, scorer.score(labels)
    for t in range(iterations):
        gains = scorer.with_slopes(current[None])[1][0]
        rule = PluginGain(tuple(tuple(map(tuple, table)) for table in gains.tolist()))
        labels = rule.decide(p)
        score = scorer.score(labels)
        if score > best_score + TIE:
            best, best_score = rule, score
        step = 2.0 / (t + 2.0)
        current = (1.0 - step) * current + step * scorer.tables(labels) / scorer.weight.sum()
    return best
