"""Weights & Biases, offline: curves of the reward, and a checkpoint of the best epoch.

Its callbacks for Keras take what the metric and `GradientMonitor` log. Nothing is sent:
`wandb sync` does that later, if you want it. It needs
`pip install 'policygrad_metrics[trackers]'`; without it the example says so and ends.

    python examples/wandb_offline.py
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
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the run")
    options = parser.parse_args()
    if not find_spec("wandb"):
        return print("skipped: pip install 'policygrad_metrics[trackers]'")
    import wandb
    from wandb.integration.keras import WandbMetricsLogger, WandbModelCheckpoint

    x = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
    y = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [0.5, 2.0])
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(3)])
    loss, metric = pgm.PolicyGradientLoss("f1_macro"), pgm.RewardMetric("f1_macro")
    model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=[metric])
    best = options.out / "best.keras"
    quiet = wandb.Settings(silent=True)
    config = loss.get_config()  # what the loss is, as plain values
    with wandb.init(
        project="levels", dir=options.out, mode="offline", config=config, settings=quiet
    ) as run:
        callbacks = [
            pgm.GradientMonitor(x, y),  # before the callback that writes
            WandbMetricsLogger(),
            WandbModelCheckpoint(best, "val_f1_macro", mode="max", save_best_only=True),
        ]
        epochs = 5 if options.quick else 60
        model.fit(x, y, 256, epochs, validation_split=0.2, callbacks=callbacks, verbose=0)
        print("reward:", run.config["reward"]["class"])
        for name, value in sorted(dict(run.summary).items()):
            if name.startswith("epoch/"):
                print(f"{name:22} {value:.3f}")
    scores = pgm.load_model(best).evaluate(x[1600:], y[1600:], verbose=0, return_dict=True)
    print(f"the best epoch, loaded again: val_f1_macro {scores['f1_macro']:.3f}")
    return None


if __name__ == "__main__":
    main()
