"""A loss with extra arguments: sparse autoencoder features, then F1 trained on top of them.

The autoencoder is trained without labels on

    1/2 sum (x - x')^2  +  alpha/2 sum W^2  +  beta sum |h|

half the summed squared error, a weight penalty, and a penalty that keeps its features h sparse.
Then a single layer on the frozen features is trained on the F1 of "this digit is an 8" from a few
labelled images, and beside it the same layer on the pixels themselves.

    python examples/sparse_autoencoder.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score

import policygrad_metrics as pgm

LABELLED = 400


def autoencoder_loss(x, reconstruction, features, weights, alpha, beta):
    """The loss with its extra arguments, summed over the batch.

    Args:
        x: images `[B, pixels]`.
        reconstruction: what the autoencoder makes of them.
        features: `[B, features]`.
        weights: the kernels that are penalised.
        alpha: weight of half the squared weights.
        beta: weight of the features' absolute values.
    """
    error = 0.5 * tf.reduce_sum(tf.square(x - reconstruction))
    penalty = 0.5 * alpha * tf.add_n([tf.reduce_sum(tf.square(w)) for w in weights])
    return error + penalty + beta * tf.reduce_sum(tf.abs(features))


def dense(size, activation, seed):
    start = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(size, activation, kernel_initializer=start)


def train_autoencoder(images, steps, alpha, beta, batch=128):
    encoder, decoder = dense(100, "relu", seed=1), dense(images.shape[1], "sigmoid", seed=2)
    decoder(encoder(images[:1]))  # builds both
    optimizer = keras.optimizers.Adam(0.003)
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            features = encoder(x)
            weights = [encoder.kernel, decoder.kernel]
            loss = autoencoder_loss(x, decoder(features), features, weights, alpha, beta)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    rng = np.random.default_rng(0)
    for number in range(1, steps + 1):
        loss = step(tf.constant(images[rng.integers(len(images), size=batch)]))
        if number == 1 or number % (steps // 4) == 0:
            print(f"   step {number:5d}   loss per image {float(loss) / batch:.3f}")
    features = encoder(images).numpy()
    error = np.mean(np.square(images - decoder(features).numpy()).sum(axis=1))
    largest = max(float(tf.reduce_max(tf.abs(layer.kernel))) for layer in (encoder, decoder))
    print(f"   squared error per image {error:.2f}", end=", ")
    print(f"features that are on {np.mean(features > 1e-3):.1%}", end=", ")
    print(f"largest weight {largest:.2f}")
    return features


def f1_on_top(inputs, is_eight, labelled, test, loss, epochs):
    """Test F1 of one layer trained on the labelled rows of `inputs`."""
    model = keras.Sequential([keras.layers.Input((inputs.shape[1],)), dense(1, None, seed=3)])
    model.compile(keras.optimizers.Adam(0.03), loss=loss, jit_compile=False)
    model.fit(
        inputs[labelled],
        is_eight[labelled],
        batch_size=200,
        epochs=epochs,
        shuffle=False,
        verbose=0,
    )
    return f1_score(is_eight[test], model(inputs[test]).numpy()[:, 0] > 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--out", type=Path, default=Path(), help="folder; nothing is written")
    steps, epochs = (400, 30) if parser.parse_args().quick else (1600, 80)
    images, digits = load_digits(return_X_y=True)
    images = (images / 16.0).astype("float32")
    is_eight = (digits == 8).astype("int32")
    order = np.random.default_rng(0).permutation(len(digits))
    labelled, test = order[:LABELLED], order[LABELLED:]

    inputs = {"pixels": images}
    for alpha in (0.0, 1.0):
        print(f"autoencoder, weight penalty alpha = {alpha:g}")
        inputs[f"features, alpha = {alpha:g}"] = train_autoencoder(images, steps, alpha, beta=0.1)
    print(f"\nF1 of 'is an 8' on {len(test)} images after {LABELLED} labelled ones", end="")
    print(f" ({is_eight[labelled].sum()} eights)")
    print(f"   {'one layer on':24}{'cross-entropy':>16}{'trained on F1':>16}")
    for name, values in inputs.items():
        scores = [
            f1_on_top(values, is_eight, labelled, test, loss, epochs)
            for loss in (pgm.SurrogateLoss("cross_entropy"), pgm.PolicyGradientLoss("f1"))
        ]
        print(f"   {name:24}{scores[0]:16.3f}{scores[1]:16.3f}")


if __name__ == "__main__":
    main()
