"""MLflow: runs of one network with two losses, their curves, and the model that can be loaded.

MLflow's callback for Keras takes what the metric and `GradientMonitor` log, and `log_model` keeps
the network with its loss. The store is a local SQLite file; nothing is sent. It needs
`pip install 'policygrad_metrics[trackers]'`; without it the example says so and ends.
`mlflow ui --backend-store-uri sqlite:///OUT/mlflow.db` shows the runs in a browser.

    python examples/mlflow_runs.py
"""

from __future__ import annotations

import argparse
import logging
import os
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

import policygrad_metrics as pgm


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the store")
    options = parser.parse_args()
    if not find_spec("mlflow"):
        return print("skipped: pip install 'policygrad_metrics[trackers]'")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow.keras

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it would ask for a signature, and pip
    store = options.out.resolve()
    mlflow.set_tracking_uri(f"sqlite:///{store / 'mlflow.db'}")
    if not mlflow.get_experiment_by_name("levels"):
        mlflow.create_experiment("levels", artifact_location=(store / "mlflow").as_uri())
    mlflow.set_experiment("levels")
    x = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
    y = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [0.5, 2.0])
    for reward in ("accuracy", "f1_macro"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(3)])
        loss, metric = pgm.PolicyGradientLoss(reward), pgm.RewardMetric("f1_macro")
        model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=[metric])
        with mlflow.start_run(run_name=f"trained on {reward}"):
            mlflow.log_param("reward", reward)
            # The monitor comes first: what it logs is then there for the callback that writes.
            callbacks = [pgm.GradientMonitor(x, y), mlflow.keras.MlflowCallback()]
            epochs = 5 if options.quick else 60
            model.fit(x, y, 256, epochs, validation_split=0.2, callbacks=callbacks, verbose=0)
            kept = mlflow.keras.log_model(model, name="network", pip_requirements=[])
    for run in mlflow.search_runs(order_by=["metrics.val_f1_macro DESC"], output_format="list"):
        shown = ("val_f1_macro", "gradient_snr", "policy_entropy")
        scores = (f"{name} {run.data.metrics[name]:.3f}" for name in shown)
        print(f"{run.info.run_name:20}", *scores, sep="  ")
    print("loaded again, its loss:", mlflow.keras.load_model(kept.model_uri).loss.reward.name)
    return None


if __name__ == "__main__":
    main()
