"""What a black box costs: calls on confusion matrices, workers, and label sets used again.

    python benchmarks/black_boxes.py [--json] [--quick]

1. `BlackBox(f1_score, counts=True)`: calls of scikit-learn's function and time for all flips of
   one label set, K = 3, by batch size; and the time of 16 calls on all examples (leave-one-out).
2. `BlackBox(metric, workers=)`: time of 16 calls of a metric that computes for 10 ms in Python.
3. `ReusedSamples`: macro-F1 of the policy (exact expectation, full batch of 256) after the same
   number of reward calls, for several `reuse`, mean of seeds; and how far the mean gradient of
   reused label sets is from the true one, by how far each probability has moved on average.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from sklearn import metrics

import policygrad_metrics as pgm

K, S = 3, 16


def problem(B: int) -> tuple[tf.Tensor, np.ndarray]:
    rng = np.random.default_rng(0)
    y_true = rng.choice(K, size=B, p=[0.6, 0.3, 0.1])
    return tf.constant(rng.normal(size=(B, K)) + np.eye(K)[y_true], tf.float32), y_true


def milliseconds(run, repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return round(float(np.median(times)), 2)


def flips(quick: bool) -> list[dict]:
    rows = []
    for B in (256, 4096) if quick else (256, 4096, 65536):
        logits, y_true = problem(B)
        calls: list[int] = []

        def f1(y_true, y_pred, sample_weight=None, calls=calls):
            calls.append(len(y_true))
            return metrics.f1_score(
                y_true, y_pred, average="macro", sample_weight=sample_weight, zero_division=0.0
            )

        box = pgm.rewards.BlackBox(f1, counts=True, cache=1000)
        one = pgm.estimators.LocalExpectation(1)
        one(logits, box, y_true, seed=0)  # the promise is tested here
        calls.clear()
        seeds = iter(range(1, 10**6))

        def all_flips(one=one, logits=logits, box=box, y_true=y_true, seeds=seeds):
            one(logits, box, y_true, seed=next(seeds))

        all_flips()
        count, cells = len(calls), max(calls)
        opaque = pgm.rewards.BlackBox(f1)
        leave_one_out = functools.partial(
            pgm.estimators.Reinforce(S), logits, opaque, y_true, seed=1
        )
        rows.append({"B": B, "calls": count, "examples_in_a_call": cells,
                     "ms_all_flips": milliseconds(all_flips, 3),
                     "ms_16_calls_on_all_examples": milliseconds(leave_one_out, 3)})  # fmt: skip
    return rows


def busy(y_true, y_pred):
    """About 10 ms of plain Python on one core."""
    total = 0
    for k in range(200_000):
        total += k & 1
    return float((y_true == y_pred).mean()) + 0.0 * total


def workers(quick: bool) -> list[dict]:
    logits, y_true = problem(256)
    rows = []
    for count, backend in ((1, "threads"), (2, "threads"), (2, "processes"), (4, "processes")):
        box = pgm.rewards.BlackBox(busy, workers=count, backend=backend)
        run = functools.partial(pgm.estimators.Reinforce(S), logits, box, y_true, seed=1)
        rows.append({"workers": count, "backend": backend if count > 1 else "none",
                     "ms_16_calls": milliseconds(run, 2 if quick else 10)})  # fmt: skip
    return rows


def trained(reuse: int, calls: int, seeds: int) -> list[float]:
    """The expected reward after so many reward calls, by Adam on a table of logits."""
    logits, reward, y_true = _problem_and_reward()
    estimator, ends = pgm.estimators.ReusedSamples(S, reuse=reuse), []

    @tf.function(reduce_retracing=True)
    def step(table, key, state):
        estimate = estimator(table, reward, y_true, seed=key, state=state)
        return estimate.gradient, estimate.state

    for seed in range(seeds):
        table, optimizer = tf.Variable(logits), keras.optimizers.Adam(0.1)
        state = tuple(tf.constant(x) for x in estimator.initial_state())
        for s in range(calls // S * reuse):
            gradient, state = step(tf.constant(table), tf.constant([seed, s]), state)
            optimizer.apply([-gradient], [table])
        ends.append(float(pgm.estimators.ExactExpectation()(table, reward, y_true).value))
    return ends


def reuse_bias(quick: bool) -> list[dict]:
    logits, y_true = problem(256)
    reward, estimator = pgm.get_reward("f1_macro"), pgm.estimators.ReusedSamples(512)
    uphill = pgm.estimators.ExactExpectation()(logits, reward, y_true).gradient
    rows = []
    for steps in (0.0, 30.0, 100.0, 300.0):
        moved = logits + steps * uphill

        @tf.function
        def again(seed, moved=moved):
            state = estimator(logits, reward, y_true, seed=seed).state
            return estimator(moved, reward, y_true, seed=seed, state=state).gradient

        truth = pgm.estimators.ExactExpectation()(moved, reward, y_true).gradient
        draws = [again(tf.constant([s, 0])).numpy() for s in range(20 if quick else 200)]
        mean, norm = np.mean(draws, axis=0), float(tf.norm(truth))
        noise = np.sqrt(np.var(draws, axis=0, ddof=1).sum() / len(draws)) / norm
        off = float(np.linalg.norm(mean - truth)) / norm
        change = float(tf.reduce_mean(tf.abs(tf.nn.softmax(moved) - tf.nn.softmax(logits))))
        rows.append({"mean_change_of_a_probability": round(change, 4),
                     "relative_bias": round(float(np.sqrt(max(off**2 - noise**2, 0.0))), 3),
                     "its_noise": round(float(noise), 3)})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, seeds and repeats")
    options = parser.parse_args()
    quick = options.quick
    calls, seeds = (320, 2) if quick else (1600, 8)
    start = float(pgm.estimators.ExactExpectation()(*_problem_and_reward()).value)
    reached = []
    for reuse in (1, 2, 4, 8):
        ends = trained(reuse, calls, seeds)
        reached.append({"reuse": reuse, "reward_calls": calls, "from": round(start, 4),
                        "to": round(float(np.mean(ends)), 4),
                        "sd": round(float(np.std(ends, ddof=1)), 4)})  # fmt: skip
    found = {
        "flips": flips(quick),
        "workers": {"cores": os.cpu_count(), "rows": workers(quick)},
        "reuse": {"seeds": seeds, "reached": reached, "bias": reuse_bias(quick)},
    }
    if options.json:
        print(json.dumps(found))
        return
    for row in found["flips"] + found["workers"]["rows"] + reached + found["reuse"]["bias"]:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


def _problem_and_reward():
    logits, y_true = problem(256)
    return logits, pgm.get_reward("f1_macro"), y_true


if __name__ == "__main__":
    main()
