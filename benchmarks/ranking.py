"""Rewards of rankings: a training step beside cross-entropy's, and PL-Rank-3's error beside it.

    python benchmarks/ranking.py [--json] [--quick] [--rounds 20]

A step is forward, loss, backward and Adam of a 64-64 network with 16 features: "xla" in one
compiled piece, "graph" as Keras runs it on a CPU. 5 % of the truth is positive; lists have grades
0 to 4. All variants are timed in turn; ratios are medians over rounds of (time / time of
cross-entropy in the same round). The error of PL-Rank-3 is that of its gradient of NDCG@10 (2-norm,
relative, root mean square over seeds) against the exact one on the same scores, beside the time
that a gradient of either takes.
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

import policygrad_metrics as pgm

#: Shape of the truth, the reward and the ratio to stay under with XLA.
PROBLEMS = (
    ((256,), "average_precision", 1.5),
    ((4096,), "average_precision", 2.0),
    ((65536,), "average_precision", None),
    ((128, 100), "ndcg@10", None),
)
FEATURES = 16
SAMPLES = (1, 16, 256)


def list_softmax(y, scores):
    """ListNet's cross-entropy of lists."""
    shares = tf.math.divide_no_nan(y, tf.reduce_sum(y, axis=-1, keepdims=True))
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(shares, scores))


def training_step(loss, shape, compiled: bool):
    """A function of no arguments that takes a step and returns the loss."""
    keras.utils.set_random_seed(0)
    x, y = data(shape)
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu"), keras.layers.Dense(1)]
    network = keras.Sequential([keras.Input(x.shape[1:]), *layers])
    optimizer = keras.optimizers.Adam()
    optimizer.build(network.trainable_variables)

    @tf.function(jit_compile=compiled)
    def step(x, y):
        with tf.GradientTape() as tape:
            outputs = network(x, training=True)
            value = loss(y, outputs if len(shape) == 1 else outputs[..., 0])
        weights = network.trainable_variables
        optimizer.apply(tape.gradient(value, weights), weights)
        return value

    return functools.partial(step, x, y)


def data(shape):
    """Standard normal features and a truth."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(*shape, FEATURES)), tf.float32)
    y = rng.integers(0, 5, shape) if len(shape) == 2 else rng.random(shape) < 0.05
    return x, tf.constant(y, tf.float32)


def seconds(step, count: int) -> float:
    """Seconds of a step."""
    start = time.perf_counter()
    for _ in range(count):
        value = step()
    float(tf.reduce_sum(value))
    return (time.perf_counter() - start) / count


def compare(steps, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each step in turn, `[rounds]`."""
    times = {name: np.zeros(rounds) for name in steps}
    counts = {}
    for name, step in steps.items():
        seconds(step, 2)  # compiles
        counts[name] = int(np.clip(0.03 / seconds(step, 2), 1, 50))
    for i in range(rounds):
        for name in list(steps)[:: 1 if i % 2 else -1]:
            times[name][i] = seconds(steps[name], counts[name])
    return times


def step_rows(quick: bool, rounds: int) -> list[dict]:
    """Times of training steps."""
    rows = []
    for shape, reward, target in PROBLEMS[::3] if quick else PROBLEMS:
        binary = keras.losses.BinaryCrossentropy(from_logits=True)
        base = binary if len(shape) == 1 else list_softmax
        for kind in ("xla", "graph"):
            losses = {"cross_entropy": base, reward: pgm.PolicyGradientLoss(reward)}
            steps = {n: training_step(x, shape, kind == "xla") for n, x in losses.items()}
            times = compare(steps, rounds)
            ratio = float(np.median(times[reward] / times["cross_entropy"]))
            rows.append(
                {
                    "shape": list(shape),
                    "reward": reward,
                    "mode": kind,
                    "milliseconds": round(1e3 * float(np.median(times[reward])), 3),
                    "ratio": round(ratio, 2),
                    "target": target if kind == "xla" else None,
                }
            )
    return rows


def error_rows(quick: bool, rounds: int) -> list[dict]:
    """Error and time of PL-Rank-3's gradients, beside the exact one's time."""
    rng = np.random.default_rng(1)
    scores = tf.constant(rng.normal(size=(16, 100)), tf.float32)
    y, reward = tf.constant(rng.integers(0, 5, (16, 100)), tf.float32), pgm.get_reward("ndcg@10")
    rows, exact = [], None
    named = [("exact", pgm.estimators.ExactExpectation())]
    some = SAMPLES[:2] if quick else SAMPLES
    named += [(f"pl_rank, {s}", pgm.estimators.get_estimator("pl_rank", samples=s)) for s in some]
    for name, estimator in named:

        def gradient(seed, estimator=estimator):
            return estimator(scores, reward, y, seed=seed).gradient

        compiled = tf.function(gradient, jit_compile=True)
        seeds = [tf.constant([seed, 0]) for seed in range(rounds)]
        found = [compiled(seed).numpy() for seed in seeds]
        exact = found[0] if exact is None else exact
        squares = [np.sum((one - exact) ** 2) / np.sum(exact**2) for one in found]
        one = seconds(functools.partial(compiled, seeds[0]), rounds)
        rows.append(
            {
                "estimator": name,
                "milliseconds": round(1e3 * one, 3),
                "relative error": round(float(np.sqrt(np.mean(squares))), 4),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="fewer problems and rounds")
    parser.add_argument("--rounds", type=int, help="timings of each variant (20; quick: 5)")
    options = parser.parse_args()
    rounds = options.rounds or (5 if options.quick else 20)
    tables = {
        "steps": step_rows(options.quick, rounds),
        "errors": error_rows(options.quick, rounds),
        "machine": [{"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}],
    }
    if options.json:
        print(json.dumps(tables))
        return
    for rows in tables.values():
        print("  ".join(f"{key:>18}" for key in rows[0]))
        for row in rows:
            print("  ".join(f"{value!s:>18}" for value in row.values()))


if __name__ == "__main__":
    main()
