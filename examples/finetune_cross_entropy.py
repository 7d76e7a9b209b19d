"""Fine-tune a network that was trained with cross-entropy on the metric it is judged by.

Five uneven synthetic classes (the rarest 3 %). For each seed a network is trained with
cross-entropy and early stopping, as one would; then, separately, its decision is tuned
(`DecisionTuner`) and its weights are fine-tuned on macro-F1 (`finetune`), both on the validation
part. All three are then judged on a test part that neither has seen.

    python examples/finetune_cross_entropy.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import make_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

import policygrad_metrics as pgm

CLASSES = 5


def data(seed):
    """Features and labels of 6,000 examples in three parts: 3,000, 1,000 and 2,000."""
    x, y = make_classification(
        6000,
        n_features=12,
        n_informative=8,
        n_classes=CLASSES,
        weights=[0.62, 0.2, 0.1, 0.05, 0.03],
        flip_y=0.02,
        random_state=seed,
    )
    x = x.astype("float32")
    x, x_test, y, y_test = train_test_split(x, y, test_size=1 / 3, stratify=y, random_state=seed)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=1 / 4, stratify=y, random_state=seed)
    return (x, y), (x_valid, y_valid), (x_test, y_test)


def with_cross_entropy(train_set, valid_set, seed, epochs):
    """What most people have: a softmax network, early stopping on the validation loss."""
    layers = [keras.layers.Input((12,))]
    for size, activation in ((64, "relu"), (64, "relu"), (CLASSES, "softmax")):
        start = keras.initializers.GlorotUniform(seed=10 * seed + len(layers))
        layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    stop = keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    batches = pgm.training.shuffled_batches(*train_set, batch_size=256, seed=seed)
    options = {"validation_data": valid_set, "callbacks": [stop], "verbose": 0}
    model.fit(batches, epochs=epochs, shuffle=False, **options)  # the batches are shuffled
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, few epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the exported model")
    arguments = parser.parse_args()
    scores = []
    for seed in range(1 if arguments.quick else 4):
        train_set, valid_set, (x_test, y_test) = data(seed)
        model = with_cross_entropy(train_set, valid_set, seed, 5 if arguments.quick else 100)
        probabilities = [model.predict(x, verbose=0) for x in (valid_set[0], x_test)]
        tuner = pgm.DecisionTuner("f1_macro").fit(probabilities[0], valid_set[1])
        labels = [probabilities[1].argmax(axis=1), tuner.predict(probabilities[1])]
        result = pgm.finetune(
            model,
            *train_set,
            reward="f1_macro",
            validation_data=valid_set,
            epochs=3 if arguments.quick else 30,
            seed=seed,
        )
        print(f"seed {seed}: {result}\n")
        labels.append(model.predict(x_test, verbose=0).argmax(axis=1))
        scores.append([f1_score(y_test, each, average="macro") for each in labels])
    print("macro-F1 on the test part")
    print(f"{'seed':>6}{'as given':>14}{'tuned decision':>16}{'fine-tuned':>14}")
    for seed, row in enumerate(scores):
        print(f"{seed:>6}{row[0]:14.3f}{row[1]:16.3f}{row[2]:14.3f}")
    print("  mean{:14.3f}{:16.3f}{:14.3f}".format(*np.mean(scores, axis=0)))
    folder = arguments.out / "finetuned"
    pgm.export_decision(model, folder)
    print(f"\nServe the last model: served = tf.saved_model.load('{folder}'); served.serve(x)")


if __name__ == "__main__":
    main()
