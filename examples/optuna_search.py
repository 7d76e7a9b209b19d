"""Optuna: which loss, and which of its hyper-parameters, by the validation reward.

The table of methods gives what each one has to choose and between which bounds, the learning rate
included: the same that `policygrad compare --trials` draws from at random. It needs
`pip install 'policygrad_metrics[trackers]'`; without it the example says so and ends.

    python examples/optuna_search.py
"""

import argparse
from importlib.util import find_spec

import keras
import numpy as np

import policygrad_metrics as pgm
from policygrad_metrics.study.methods import LEARNING_RATE, TaskInfo, get_method, search_ranges


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer trials and epochs")
    parser.add_argument("--out", help="nothing is written")
    trials, epochs = (8, 15) if parser.parse_args().quick else (60, 30)
    if not find_spec("optuna"):
        return print("skipped: pip install 'policygrad_metrics[trackers]'")
    import optuna

    x = np.random.default_rng(0).normal(size=(3000, 8)).astype("float32")
    y = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [0.5, 2.0])
    info = TaskInfo.of("multiclass", "f1_macro", y[:2000], 3)

    def objective(trial):
        name = trial.suggest_categorical("method", ["policy_gradient", "soft_f1_mixed", "focal"])
        values = {
            key: trial.suggest_float(f"{name}.{key}", one.low, one.high, log=one.log)
            for key, one in search_ranges(name).items()
        }
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(3)])
        adam = keras.optimizers.Adam(0.01 * values.pop(LEARNING_RATE))
        loss = get_method(name).loss(info, values)
        model.compile(adam, loss=loss, metrics=[pgm.RewardMetric("f1_macro")])
        model.fit(x[:2000], y[:2000], batch_size=256, epochs=epochs, verbose=0)
        return model.evaluate(x[2000:], y[2000:], verbose=0, return_dict=True)["f1_macro"]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, trials)
    return print(f"{study.best_value:.3f}", study.best_params)


if __name__ == "__main__":
    main()
