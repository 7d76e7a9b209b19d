"""Many seeds at once against one Keras `fit` each, what a replica costs in memory, and a member.

    python benchmarks/study.py [--json] [--quick] [--members]

Everything that is compared is measured in the same run, one after the other, on the same made data:
10 seeds of the 64-64 network on 5,000 training rows, 20 features, 10 % positives, batches of 250,
for as many epochs as `policygrad compare` trains on so many rows.
Three ways to train them:

    stacked          train_replicas: all seeds at once, validated on the reward after each epoch
    fit              model.fit for one seed after the other, without validation
    fit, validated   the same with validation on the reward and the best weights kept: the same job

Times include building and compiling. The ratio of the steady state leaves them out: seconds of the
epochs after the first only. A quick run trains one loss for 10 epochs, and times one of Keras's 10
fits and counts it tenfold: it shows that everything runs.

Members are those of `PolicyGradientClassifier(members=8)` with its defaults (200 epochs) on these
5,000 rows, against one: the first fit of a shape traces and compiles, the next one does not. Wall
and processor seconds, and those of the shortest epoch, which a busy machine disturbs least;
`--members` measures nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from policygrad_metrics.study.settings import MIN_EPOCHS as EPOCHS

SEEDS, ROWS, FEATURES, BATCH = 10, 5000, 20, 250
TARGET = 12.0
QUICK_EPOCHS = 10
MEMBERS, MEMBERS_TARGET = 8, 2.0


def make_parts():
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + 2000, FEATURES)).astype(np.float32)
    score = np.sin(x[:, 0] * 2) + x[:, 1] * x[:, 2] + rng.normal(size=len(x))
    y = (score > np.quantile(score, 0.9)).astype(int)
    xs, ys = np.split(x, [ROWS, ROWS + 1000]), np.split(y, [ROWS, ROWS + 1000])
    return types.SimpleNamespace(
        x_train=xs[0], y_train=ys[0], x_valid=xs[1], y_valid=ys[1], x_test=xs[2]
    )


def make_loss(name):
    import policygrad_metrics as pgm

    return {
        "cross-entropy": lambda: pgm.SurrogateLoss("cross_entropy"),
        "policy gradient, exact": lambda: pgm.PolicyGradientLoss("f1"),
        "policy gradient, local expectation": lambda: pgm.PolicyGradientLoss(
            "f1", gradient_estimator="local_expectation"
        ),
    }[name]()


def time_stacked(name, parts, count=SEEDS, epochs=EPOCHS):
    """Seconds in all, and of one epoch of all seeds."""
    from policygrad_metrics.training import Network, Replica, train_replicas

    ends = []
    started = time.perf_counter()
    train_replicas(
        Network(),
        lambda hyper: make_loss(name),
        "f1",
        "binary",
        parts,
        [Replica(seed) for seed in range(count)],
        epochs=epochs,
        batch_size=BATCH,
        on_epoch=lambda epoch, rewards: ends.append(time.perf_counter()),
    )
    return time.perf_counter() - started, (ends[-1] - ends[0]) / (epochs - 1)


def time_fits(name, parts, validated, seeds, epochs):
    """Seconds in all, and of one epoch of every seed, of `SEEDS` fits."""
    import keras

    import policygrad_metrics as pgm
    from policygrad_metrics.training import Network

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            ends.append(time.perf_counter())

    total = steady = 0.0
    for seed in range(seeds):
        ends = []
        started = time.perf_counter()
        model = Network().build(FEATURES, 1, seed)
        metrics = [pgm.RewardMetric("f1")] if validated else []
        model.compile(optimizer="adam", loss=make_loss(name), metrics=metrics)
        best = keras.callbacks.EarlyStopping(
            "val_f1", patience=epochs, mode="max", restore_best_weights=True
        )
        model.fit(
            parts.x_train,
            parts.y_train,
            batch_size=BATCH,
            epochs=epochs,
            verbose=0,
            validation_data=(parts.x_valid, parts.y_valid) if validated else None,
            callbacks=[best, Clock()] if validated else [Clock()],
        )
        total += time.perf_counter() - started
        steady += (ends[-1] - ends[0]) / (epochs - 1)
    return total * SEEDS / seeds, steady * SEEDS / seeds


def measure_speed(name, seeds, epochs):
    parts = make_parts()
    stacked, stacked_epoch = time_stacked(name, parts, epochs=epochs)
    row = {"loss": name, "stacked seconds": stacked, "stacked seconds per epoch": stacked_epoch}
    for label, validated in (("fit", False), ("fit, validated", True)):
        whole, epoch = time_fits(name, parts, validated, seeds, epochs)
        row[f"{label} seconds"] = whole
        row[f"{label} ratio"] = whole / stacked
        row[f"{label} steady ratio"] = epoch / stacked_epoch
    return row


def peak_megabytes(count, **settings):
    """Peak memory of a process of its own that trains `count` replicas."""
    command = [sys.executable, __file__, "--worker", str(count)]
    environment = {**os.environ, **settings}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(run.stdout.strip().splitlines()[-1])


def measure_memory(many):
    """Megabytes per further replica, beside what weights and one batch of each program need.

    What one batch needs is what XLA's buffer assignment lists: buffers that are not needed at the
    same time share their place. The programs that train and that validate each keep theirs.
    """
    few = 10
    peaks = {count: peak_megabytes(count) for count in (few, many)}
    # By itself glibc's malloc keeps freed blocks of megabytes, in pieces that differ between runs.
    tidy = {count: peak_megabytes(count, MALLOC_MMAP_THRESHOLD_="131072") for count in (few, many)}
    weights = FEATURES * 64 + 64 + 64 * 64 + 64 + 64 + 1
    # Weights, Adam's two means and the best weights, each as it was and as it becomes.
    kept = 8 * weights
    needs = {
        "weights, 8 copies": kept,
        # Inputs; of both hidden layers the products and the activations, and one gradient.
        "training batch": BATCH * (FEATURES + 5 * 64),
        # Inputs, and the activations of both hidden layers.
        "validation batch": BATCH * (FEATURES + 2 * 64),
        # The order of one epoch, and the outputs of both other parts.
        "order and outputs": ROWS + 2 * 2000,
        # XLA copies each kernel out of the row of weights, in both programs.
        "kernels, 2 copies": 2 * (FEATURES * 64 + 64 * 64),
        # NumPy's own: the first weights, and the order before it is handed over and while.
        "on the host": weights + 2 * ROWS,
    }
    megabytes = {name: 4 * numbers / 2**20 for name, numbers in needs.items()}
    return {
        "peak megabytes": peaks,
        "measured per replica": (peaks[many] - peaks[few]) / (many - few),
        "measured, freed blocks given back": (tidy[many] - tidy[few]) / (many - few),
        "needed per replica": sum(megabytes.values()),
        **megabytes,
    }


def measure_members(epochs=None):
    """Wall and processor seconds of fits of one network and of several, and their ratios."""
    import policygrad_metrics as pgm

    parts, result = make_parts(), {}
    for fit in ("first fit", "next fit"):
        row = {}
        for members in (1, MEMBERS):
            model = pgm.PolicyGradientClassifier("f1", members=members, random_state=0, verbose=1)
            if epochs is not None:
                model.set_params(epochs=epochs)
            wall, processor, ends = time.perf_counter(), time.process_time(), []
            clock = types.SimpleNamespace(
                write=lambda text, ends=ends: ends.append(time.perf_counter()), flush=int
            )
            with contextlib.redirect_stdout(clock):
                model.fit(parts.x_train, parts.y_train)
            row[f"{members}: seconds"] = time.perf_counter() - wall
            row[f"{members}: processor seconds"] = time.process_time() - processor
            row[f"{members}: shortest epoch"] = min(b - a for a, b in itertools.pairwise(ends[::2]))
        for what in ("seconds", "processor seconds", "shortest epoch"):
            row[f"ratio of {what}"] = row[f"{MEMBERS}: {what}"] / row[f"1: {what}"]
        result[fit] = row
    return {**result, "target": MEMBERS_TARGET}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="one loss, few epochs and replicas")
    parser.add_argument("--members", action="store_true", help="measure members only")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        time_stacked("cross-entropy", make_parts(), options.worker, epochs=2)
        lines = Path("/proc/self/status").read_text().splitlines()
        print(int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 1024)
        return
    few = QUICK_EPOCHS if options.quick else None
    if options.members:
        show({"members": measure_members(few)}, options.json)
        return
    names = ["cross-entropy", "policy gradient, exact", "policy gradient, local expectation"]
    # The first program of a process also pays for importing and starting TensorFlow.
    time_stacked(names[0], make_parts(), 2)
    seeds = 1 if options.quick else SEEDS
    names = names[1:2] if options.quick else names
    speed = [measure_speed(name, seeds, few or EPOCHS) for name in names]
    memory = measure_memory(60 if options.quick else 510)
    result = {"speed": speed, "target": TARGET, "fits timed": seeds, "memory": memory}
    show({**result, "members": measure_members(few)}, options.json)


def show(result, as_json):
    """Print everything as one JSON object, or in columns."""
    if as_json:
        print(json.dumps(result))
        return
    for row in result.get("speed", ()):
        print(row["loss"])
        for key, value in row.items():
            if key != "loss":
                print(f"    {key:32} {value:8.3f}")
    if "memory" in result:
        print("memory")
        for key, value in result["memory"].items():
            print(f"    {key:36} {value}")
    print("members")
    for fit in ("first fit", "next fit"):
        for key, value in result["members"][fit].items():
            print(f"    {fit:10} {key:28} {value:9.4f}")


if __name__ == "__main__":
    main()
