"""TensorBoard: the reward, the gradient's signal-to-noise ratio and histograms of the weights.

Keras's own callback takes what the metric and `GradientMonitor` log; the monitor comes before it.
It needs `pip install 'policygrad_metrics[trackers]'`; without it the example says so and ends.
`tensorboard --logdir OUT/tensorboard` shows the curves in a browser.

    python examples/tensorboard_logs.py
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

import policygrad_metrics as pgm


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the logs")
    options = parser.parse_args()
    if not find_spec("tensorboard"):
        return print("skipped: pip install 'policygrad_metrics[trackers]'")
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
    y = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [0.5, 2.0])
    model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(3)])
    loss, metric = pgm.PolicyGradientLoss("f1_macro"), pgm.RewardMetric("f1_macro")
    model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=[metric])
    logs = options.out / "tensorboard"
    callbacks = [
        pgm.GradientMonitor(x, y),  # before the callback that writes
        keras.callbacks.TensorBoard(logs, histogram_freq=1),
    ]
    epochs = 3 if options.quick else 30
    model.fit(x, y, 256, epochs, validation_split=0.2, callbacks=callbacks, verbose=0)
    return report(logs)


def report(logs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    for folder in sorted(path.parent for path in logs.rglob("events*")):
        events = EventAccumulator(str(folder)).Reload()
        for tag in sorted(events.Tags()["tensors"]):
            values = [make_ndarray(event.tensor_proto) for event in events.Tensors(tag)]
            if values[0].ndim == 0 and values[0].dtype.kind == "f":
                print(f"{folder.name:10} {tag:25}", *(f"{float(value):.3f}" for value in values))
    return


if __name__ == "__main__":
    main()
