"""Time of a whole training step, relative to the same step with cross-entropy.

    python benchmarks/step_time.py [--json] [--quick] [--rounds 40]

A step is forward, loss, backward and Adam of a 64-64 network, compiled by XLA in one piece; the
reward is macro-F1. All variants of a problem are timed in turn, several steps at a time, and the
ratio is the median over rounds of (time of variant / time of cross-entropy in the same round):
what else the machine does hits both alike. The spread is the interquartile range of those ratios.
"fit" is a whole `model.fit` as Keras runs it on a CPU, without XLA, of an epoch of 100 batches.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import policygrad_metrics as pgm

BASE = "cross_entropy"
FEATURES = 16
#: Batches of an epoch of "fit".
BATCHES = 100

#: (B, K, the ratio that the exact expectation should stay under, the same for 4 local samples)
PROBLEMS = (
    (256, 2, 1.10, 1.6),
    (256, 6, 1.10, 1.6),
    (256, 100, None, None),
    (4096, 2, None, None),
    (4096, 6, 1.25, None),
    (4096, 100, None, None),
    (512, 100, 1.5, None),
)
#: (B, K, the ratio that "fit" with the default loss should stay under)
FITS = ((256, 2, 1.05), (256, 6, 1.10), (512, 100, 1.30))
QUICK = ((256, 6, 1.10, 1.6), (512, 100, 1.5, None))


@dataclasses.dataclass(frozen=True)
class Row:
    """One timing: milliseconds per step, the ratio to cross-entropy, its interquartile range."""

    batch: int
    classes: int
    variant: str
    milliseconds: float
    ratio: float
    ratio_low: float
    ratio_high: float
    target: float | None


def losses() -> dict[str, keras.losses.Loss]:
    """The variants: each estimator on its own, and the exact one with its default arguments."""

    def of(estimator):
        return pgm.PolicyGradientLoss("f1_macro", gradient_estimator=estimator, cross_entropy=0.0)

    return {
        BASE: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "exact": of(pgm.estimators.ExactExpectation()),
        "exact, default mixing": pgm.PolicyGradientLoss("f1_macro"),
        "exact, 16 nodes": of(pgm.estimators.ExactExpectation(nodes=16)),
        "local expectation, 4": of(pgm.estimators.LocalExpectation(samples=4)),
        "local expectation, 8": of(pgm.estimators.LocalExpectation(samples=8)),
        "leave-one-out, 16": of(pgm.estimators.Reinforce(samples=16)),
    }


def new_network(classes: int) -> keras.Sequential:
    """A 64-64 network."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(classes),
        ]
    )


def training_step(loss: keras.losses.Loss, classes: int):
    """A compiled function (x, y) -> loss that also updates its own network."""
    network = new_network(classes)
    optimizer = keras.optimizers.Adam()
    optimizer.build(network.trainable_variables)

    @tf.function(jit_compile=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, network(x, training=True))
        weights = network.trainable_variables
        optimizer.apply(tape.gradient(value, weights), weights)
        return value

    return step


def data(batch: int, classes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Standard normal features and labels of which the rarest class makes up 2 % (or less)."""
    rng = np.random.default_rng(0)
    rare = min(0.02, 1.0 / classes)
    shares = np.full(classes, (1.0 - rare) / (classes - 1))
    shares[-1] = rare
    x = rng.normal(size=(batch, FEATURES))
    return tf.constant(x, tf.float32), tf.constant(rng.choice(classes, batch, p=shares), tf.int32)


def time_steps(step, x, y, count: int) -> float:
    """Seconds per step over `count` steps."""
    start = time.perf_counter()
    for _ in range(count):
        value = step(x, y)
    float(value)  # waits for the last step
    return (time.perf_counter() - start) / count


def measure(batch: int, classes: int, targets: dict[str, float | None], rounds: int) -> list[Row]:
    """Time all variants in turn."""
    x, y = data(batch, classes)
    steps = {name: training_step(loss, classes) for name, loss in losses().items()}
    once = {}
    for name, step in steps.items():
        time_steps(step, x, y, 3)  # compiles
        once[name] = time_steps(step, x, y, 3)
    # Some 20 ms each time: short against other work of the machine, long against the clock.
    counts = {name: int(np.clip(0.02 / seconds, 1, 50)) for name, seconds in once.items()}
    times = in_turn(
        {
            name: functools.partial(time_steps, step, x, y, counts[name])
            for name, step in steps.items()
        },
        rounds,
    )
    return compared(batch, classes, times, targets)


def in_turn(timed: dict[str, Callable[[], float]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each, `[rounds]`, every second round in the opposite order."""
    times = {name: np.zeros(rounds) for name in timed}
    for i in range(rounds):
        for name in list(timed)[:: 1 if i % 2 else -1]:
            times[name][i] = timed[name]()
    return times


def measure_fit(batch: int, classes: int, target: float, rounds: int) -> list[Row]:
    """Time `model.fit` with cross-entropy and with the default loss in turn."""
    x, y = (a.numpy() for a in data(batch * BATCHES, classes))

    def fitting(loss):
        network = new_network(classes)
        network.compile("adam", loss=loss, jit_compile=False)

        def fit():
            start = time.perf_counter()
            network.fit(x, y, batch_size=batch, verbose=0, shuffle=False)
            return (time.perf_counter() - start) / BATCHES

        fit()  # traces
        return fit

    default = "fit, exact, default mixing"
    fits = {BASE: losses()[BASE], default: pgm.PolicyGradientLoss("f1_macro")}
    times = in_turn({name: fitting(loss) for name, loss in fits.items()}, rounds)
    return compared(batch, classes, times, {default: target})[1:]


def compared(
    batch: int, classes: int, times: dict[str, np.ndarray], targets: dict[str, float | None]
) -> list[Row]:
    """A row for each of the times, relative to those of cross-entropy."""
    rows = []
    for name, seconds in times.items():
        low, ratio, high = np.quantile(seconds / times[BASE], [0.25, 0.5, 0.75])
        milliseconds = 1e3 * float(np.median(seconds))
        rows.append(
            Row(
                batch,
                classes,
                name,
                round(milliseconds, 3),
                round(float(ratio), 3),
                round(float(low), 3),
                round(float(high), 3),
                targets.get(name),
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="fewer problems and rounds")
    parser.add_argument("--rounds", type=int, help="timings of each variant (40; quick: 5)")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (5 if arguments.quick else 40)
    before = os.getloadavg()[0]
    rows = []
    for batch, classes, exact, local in QUICK if arguments.quick else PROBLEMS:
        targets = {
            "exact": exact,
            "exact, default mixing": exact,
            "local expectation, 4": local,
        }
        rows += measure(batch, classes, targets, rounds)
    for batch, classes, target in FITS[1:2] if arguments.quick else FITS:
        rows += measure_fit(batch, classes, target, rounds)
    machine = {
        "cores": os.cpu_count(),
        "load_before": before,
        "load_after": os.getloadavg()[0],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "rounds": rounds,
    }
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": [dataclasses.asdict(r) for r in rows]}))
        return
    print(f"{'B':>5} {'K':>4}  {'loss':<28}{'ms':>9}{'ratio':>8}  {'interquartile':<14} target")
    for row in rows:
        spread = f"{row.ratio_low:.2f} - {row.ratio_high:.2f}"
        target = "" if row.target is None else f"{row.target:.2f}"
        print(
            f"{row.batch:>5} {row.classes:>4}  {row.variant:<28}{row.milliseconds:>9.2f}"
            f"{row.ratio:>8.2f}  {spread:<14} {target}"
        )
    print(", ".join(f"{key} {value}" for key, value in machine.items()))


if __name__ == "__main__":
    main()
