"""Keras quick start: train a five-class network on macro-F1 itself.

Two networks, alike to the bit at the start, on uneven synthetic classes (the rarest 4 %): one
trained with cross-entropy, one with `PolicyGradientLoss("f1_macro")`. Both keep the epoch with the
best macro-F1 on validation data.

    python examples/keras_quick_start.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn import metrics
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

import policygrad_metrics as pgm

CLASSES = 5


def data(seed=0):
    """Features and labels of 6,000 examples: 60, 20, 11, 5 and 4 % in the classes."""
    x, y = make_classification(
        6000,
        n_features=12,
        n_informative=8,
        n_classes=CLASSES,
        weights=[0.6, 0.2, 0.11, 0.05, 0.04],
        flip_y=0.02,
        random_state=seed,
    )
    x, x_test, y, y_test = train_test_split(x, y, test_size=1 / 3, stratify=y, random_state=seed)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=1 / 4, stratify=y, random_state=seed)
    return (x, y), (x_valid, y_valid), (x_test, y_test)


def network(seed=0):
    layers = [keras.layers.Input((12,))]
    for size, activation in ((64, "relu"), (64, "relu"), (CLASSES, None)):  # logits, no softmax
        start = keras.initializers.GlorotUniform(seed=(seed := seed + 1))
        layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
    return keras.Sequential(layers)


def train(loss, train_set, valid_set, epochs):
    model = network()
    model.compile(
        keras.optimizers.Adam(0.003),
        loss=loss,
        metrics=[pgm.RewardMetric("f1_macro")],  # of the whole data set, not a mean of batches
    )
    best = keras.callbacks.EarlyStopping(
        "val_f1_macro", mode="max", patience=epochs, restore_best_weights=True
    )
    history = model.fit(
        *train_set,
        batch_size=256,
        epochs=epochs,
        shuffle=False,  # the split has shuffled; so no global seed is needed for the same result
        validation_data=valid_set,
        callbacks=[best, pgm.StopOnBadBatch()],
        verbose=0,
    ).history
    print(f"   best epoch {best.best_epoch + 1} of {epochs}", end="; ")
    print(f"validation macro-F1 {max(history['val_f1_macro']):.3f}")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder; nothing is written")
    epochs = 10 if parser.parse_args().quick else 60
    train_set, valid_set, test_set = data()
    print("classes in the training part:", np.bincount(train_set[1]).tolist(), "\n")
    losses = {
        "cross-entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "policy gradient of macro-F1": pgm.PolicyGradientLoss("f1_macro"),
    }
    for name, loss in losses.items():
        print(name)
        model = train(loss, train_set, valid_set, epochs)
        labels = model(test_set[0]).numpy().argmax(axis=1)
        print(metrics.classification_report(test_set[1], labels, digits=3, zero_division=0.0))
    print(
        "One split and one seed: the difference is an example, not a result. For a result compare\n"
        "over many seeds and data sets: policygrad compare --help."
    )


if __name__ == "__main__":
    main()
