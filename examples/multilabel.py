"""Multi-label: several labels per example, trained on the F1 that will be reported.

With `policy="sigmoid"` every output column is a label of its own. Synthetic sets of labels, some of
them rare; three networks, alike at the start, trained with binary cross-entropy, on the F1 of each
example ("f1_samples") and on the mean F1 of the labels ("f1_macro"). All decide at probability 1/2.

    python examples/multilabel.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn import metrics

import policygrad_metrics as pgm

LABELS = 8


def data(N, seed):
    """Features `[N, 20]` and labels `[N, 8]`: labels held by 40 % down to 5 %."""
    world = np.random.default_rng(0)  # the same directions and thresholds for every part
    directions = world.normal(size=(20, LABELS)) / np.sqrt(20)
    thresholds = np.linspace(0.3, 2.0, LABELS)
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(N, 20))
    noise = 0.6 * rng.normal(size=(N, LABELS))
    return x.astype("float32"), (x @ directions + noise > thresholds).astype("int32")


def network(seed=0):
    layers = [keras.layers.Input((20,))]
    for size, activation in ((64, "relu"), (LABELS, None)):  # logits, no sigmoid
        start = keras.initializers.GlorotUniform(seed=(seed := seed + 1))
        layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
    return keras.Sequential(layers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder; nothing is written")
    epochs = 5 if parser.parse_args().quick else 30
    train_set, (x_test, y_test) = data(4000, seed=1), data(4000, seed=2)
    print("examples with each label:", train_set[1].sum(axis=0).tolist(), "of 4000\n")
    losses = {
        "binary cross-entropy": keras.losses.BinaryCrossentropy(from_logits=True),
        "f1_samples": pgm.PolicyGradientLoss("f1_samples", policy="sigmoid"),
        "f1_macro": pgm.PolicyGradientLoss("f1_macro", policy="sigmoid"),
    }
    scores = {
        "f1_samples": lambda y, p: metrics.f1_score(y, p, average="samples", zero_division=0.0),
        "f1_macro": lambda y, p: metrics.f1_score(y, p, average="macro", zero_division=0.0),
        "all labels right": metrics.accuracy_score,
        "single labels right": lambda y, p: 1.0 - metrics.hamming_loss(y, p),
    }
    print(f"{'trained on':22}" + "".join(f"{name:>21}" for name in scores))
    for name, loss in losses.items():
        model = network()
        model.compile(keras.optimizers.Adam(0.005), loss=loss, jit_compile=False)
        model.fit(*train_set, batch_size=256, epochs=epochs, shuffle=False, verbose=0)
        labels = (model(x_test).numpy() > 0).astype(int)
        print(f"{name:22}" + "".join(f"{score(y_test, labels):21.3f}" for score in scores.values()))


if __name__ == "__main__":
    main()
