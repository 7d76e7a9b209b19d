"""Published experiments on gradient estimators, our figure beside the reference.

Kool, van Hoof & Welling 2020: f = sum_j (x_j - p_j)^2 of three Bernoullis that share one logit eta.
Tucker et al. 2017 and Grathwohl et al. 2018: E[(b - 0.499)^2] of one Bernoulli of mean theta. The
references are those experiments run with the papers' own methods; a variance is that of one
gradient with respect to eta, or to theta's logit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.estimators import Enumerate
from policygrad_metrics.rewards import CountReward, RatioReward, Reward
from policygrad_metrics.study.diagnostics.lineup import named

_KOOL_P = (0.6, 0.51, 0.48)
_TOY_T = 0.499
#: (estimator, eta) -> reference variance at k = 2, 4 and 8 evaluations.
_KOOL = {
    ("reinforce_none", 0.0): (2.3e-1, 1.1e-1, 5.6e-2),
    ("reinforce_leave_one_out", 0.0): (7.3e-3, 2.0e-3, 7.6e-4),
    ("unordered_set", 0.0): (5.6e-3, 1.05e-3, 0.0),
    ("reinforce_none", -4.0): (1.6e-2, 9.3e-3, 4.1e-3),
    ("reinforce_leave_one_out", -4.0): (4.2e-4, 2.0e-4, 9.0e-5),
    ("unordered_set", -4.0): (2.9e-5, 9.6e-7, 0.0),
}
_KOOL_GRADIENT = {0.0: -0.0450, -4.0: -0.00318}
#: (estimator, samples) -> reference variance at theta = .5, .731, .953; None where there is none.
_TOY: dict[tuple[str, int], tuple[float | None, ...]] = {
    ("reinforce_none", 1): (1.6e-2, 1.2e-2, 2.7e-3),
    ("rebar", 1): (9.6e-3, 9.7e-3, 3.8e-4),
    ("relax", 1): (None, None, None),
    ("reinforce_leave_one_out", 2): (2.5e-7, 2.4e-7, 8.2e-8),
    ("disarm", 2): (0.0, 1.3e-7, 8.0e-8),
    ("unordered_set", 2): (None, None, None),
}
_TOY_THETAS = (0.5, 0.731, 0.953)
#: Steps and label sets of a step in which REBAR and RELAX learn.
_LEARN_STEPS, _LEARN_SAMPLES = 1000, 256


@dataclasses.dataclass(frozen=True)
class _Bernoullis:
    """Bernoullis that share one logit, and a reward of what they drew."""

    reward: Reward
    sites: int
    logit: float

    def gradient(self, estimator, seed, state):
        """The gradient of the expected reward with respect to the logit, and the next state."""
        logits = tf.tile(tf.constant([[0.0, self.logit]]), [self.sites, 1])
        truth = tf.zeros([self.sites], tf.int32)
        found = estimator(logits, self.reward, truth, seed=seed, state=state)
        return tf.reduce_sum(found.gradient[:, 1]), found.state


def _kool_tables(y_true, weight, num_classes):
    """(x_j - p_j)^2 of both outcomes of each Bernoulli, as the numerator of a ratio over 1."""
    gains = tf.constant([(p**2, (1.0 - p) ** 2) for p in _KOOL_P], tf.float32)
    return gains, tf.zeros([1, num_classes]), 0.0, 1.0


def _toy_score(confusion):
    """(b - t)^2, in the papers' relaxation too: b is what is counted as a one."""
    return (confusion[..., 0, 1] - _TOY_T) ** 2


def run_published(draws: int = 4096, seed: int = 0) -> list[dict[str, Any]]:
    """Both experiments; see `kool_records` and `toy_records`."""
    return [*kool_records(draws, seed), *toy_records(draws, seed)]


def kool_records(
    draws: int,
    seed: int = 0,
    *,
    etas: Iterable[float] = (0.0, -4.0),
    sizes: Iterable[int] = (2, 4, 8),
) -> list[dict[str, Any]]:
    """Kool 2020's three Bernoullis.

    Args:
        draws: gradients from which a variance is estimated.
        seed: of the draws.
        etas: which logits.
        sizes: how many evaluations, of 2, 4 and 8.

    Returns:
        Records with `experiment`, `estimator`, `at`, `quantity`, `ours`, `standard_error` and
        `reference`.
    """
    records = []
    for eta in etas:
        problem = _Bernoullis(RatioReward(_kool_tables), len(_KOOL_P), eta)
        at = {"experiment": "three Bernoullis (Kool 2020)", "at": f"eta = {eta:g}"}
        exact = float(problem.gradient(Enumerate(), None, ())[0])
        records.append(_record(at, "exact", "gradient", exact, None, _KOOL_GRADIENT[eta]))
        for (name, where), references in _KOOL.items():
            for size, reference in zip((2, 4, 8), references, strict=True):
                if where == eta and size in sizes:
                    variance, error = _variance(problem, named(name, size), (), draws, seed)
                    place = at | {"at": f"{at['at']}, k = {size}"}
                    records.append(_record(place, name, "variance", variance, error, reference))
    return records


def toy_records(
    draws: int, seed: int = 0, *, names: Iterable[str] | None = None
) -> list[dict[str, Any]]:
    """The toy of REBAR and RELAX.

    Args:
        draws: gradients from which a variance is estimated.
        seed: of the draws.
        names: which estimators; None for all.

    Returns:
        Records as those of `kool_records`.
    """
    records = []
    for (name, samples), references in _TOY.items():
        if names is not None and name not in names:
            continue
        for theta, reference in zip(_TOY_THETAS, references, strict=True):
            problem = _Bernoullis(CountReward(_toy_score), 1, math.log(theta / (1 - theta)))
            learned = _learned(problem, name, seed)
            estimator = named(name, samples)
            variance, error = _variance(problem, estimator, learned, draws, seed)
            place = {
                "experiment": "E[(b - 0.499)^2] (REBAR, RELAX)",
                "at": f"theta = {theta}, k = {samples}",
            }
            records.append(_record(place, name, "variance", variance, error, reference))
    return records


def _record(place, estimator, quantity, ours, error, reference):
    return {
        **place,
        "estimator": estimator,
        "quantity": quantity,
        "ours": ours,
        "standard_error": error,
        "reference": reference,
    }


def _learned(problem, name, seed):
    """What REBAR or RELAX has learned after many steps; () for those that do not learn."""
    if name not in ("rebar", "relax"):
        return ()
    estimator = named(name, _LEARN_SAMPLES)
    step = tf.function(
        lambda key, state: problem.gradient(estimator, key, state)[1], autograph=False
    )
    state = tuple(tf.constant(x, tf.float32) for x in estimator.initial_state())
    for i in range(_LEARN_STEPS):
        state = step(tf.constant([seed + 1, i]), state)
    return state


def _variance(problem, estimator, state, draws, seed):
    """The variance of one gradient, and its standard error."""

    @tf.function(autograph=False)
    def run():
        def one(draw):
            return problem.gradient(estimator, tf.stack([seed, draw]), state)[0]

        return tf.map_fn(one, tf.range(draws), fn_output_signature=tf.float32)

    gradients = run().numpy().astype(np.float64)
    squares = (gradients - gradients.mean()) ** 2
    return float(squares.sum() / (draws - 1)), float(squares.std(ddof=1) / math.sqrt(draws))


def published_table(records: list[dict[str, Any]]) -> str:
    """The records as Markdown, a table for each experiment."""
    lines = []
    for experiment in dict.fromkeys(r["experiment"] for r in records):
        lines += [
            f"\n{experiment}\n",
            "| estimator | at | ours | reference |",
            "| --- | --- | ---: | ---: |",
        ]
        for r in records:
            if r["experiment"] == experiment:
                error = r["standard_error"]
                ours = f"{r['ours']:.2g}" if error is None else f"{r['ours']:.2g} ± {error:.1g}"
                known = "-" if r["reference"] is None else f"{r['reference']:.2g}"
                name = f"{r['estimator']}, {r['quantity']}"
                lines.append(f"| {name} | {r['at']} | {ours} | {known} |")
    return "\n".join(lines).strip()
