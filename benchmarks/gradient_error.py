"""Relative mean squared error of each estimator's gradient against the exact one.

    python benchmarks/gradient_error.py [--json] [--quick]

Macro-F1, B = 256, K = 2 and 6, softmax of random logits, the rarest class 2 % of the truth. The
error is E|g - exact|^2 / |exact|^2 over seeds; the exact gradient's own error is measured against
48 nodes in the same precision. Reward calls are scorings of a whole label set (local expectation
scores all flips of a set in closed form, counted as one).
"""

from __future__ import annotations

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import policygrad_metrics as pgm

B, RAREST = 256, 0.02
ESTIMATORS = (
    ("reinforce, no baseline", pgm.estimators.Reinforce(16, "none"), 16),
    ("reinforce, greedy", pgm.estimators.Reinforce(16, "greedy"), 17),
    ("reinforce, leave-one-out", pgm.estimators.Reinforce(16), 16),
    (
        "local expectation, independent",
        pgm.estimators.LocalExpectation(4, latin_hypercube=False),
        4,
    ),
    ("local expectation", pgm.estimators.LocalExpectation(4), 4),
    ("local expectation, S = 16", pgm.estimators.LocalExpectation(16), 16),
    ("exact", pgm.estimators.ExactExpectation(), 0),
)


def problem(K: int) -> tuple[tf.Tensor, np.ndarray]:
    """Random logits and a truth whose last class is rare."""
    rng = np.random.default_rng(0)
    prior = np.full(K, (1 - RAREST) / (K - 1))
    prior[-1] = RAREST
    counts = np.maximum(1, np.round(prior * B)).astype(int)
    y_true = np.repeat(np.arange(K), counts)[:B]
    y_true = np.concatenate([y_true, np.zeros(B - len(y_true), int)])
    return tf.constant(rng.normal(size=(B, K)), tf.float32), y_true


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="16 seeds instead of 256")
    options = parser.parse_args()
    seeds, reward, rows = (16 if options.quick else 256), pgm.get_reward("f1_macro"), []
    for K in (2, 6):
        logits, y_true = problem(K)
        exact = pgm.estimators.ExactExpectation(nodes=48)(logits, reward, y_true).gradient
        norm = float(tf.reduce_sum(exact**2))
        for name, estimator, calls in ESTIMATORS:

            @tf.function
            def error(seed, estimator=estimator, logits=logits, y_true=y_true, exact=exact):
                gradient = estimator(logits, reward, y_true, seed=seed).gradient
                return tf.reduce_sum((gradient - exact) ** 2)

            runs = seeds if estimator.stochastic else 1
            errors = [float(error(tf.constant([s, 0]))) / norm for s in range(runs)]
            rows.append({"K": K, "estimator": name, "reward_calls": calls,
                         "relative_error": float(np.mean(errors))})  # fmt: skip
    if options.json:
        print(json.dumps({"B": B, "rarest": RAREST, "seeds": seeds, "rows": rows}))
        return
    print(f"macro-F1, B = {B}, rarest class {RAREST:.0%}, {seeds} seeds")
    for row in rows:
        print(f"K={row['K']}  {row['estimator']:32} {row['reward_calls']:3} reward calls  "
              f"relative mean squared error {row['relative_error']:.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
