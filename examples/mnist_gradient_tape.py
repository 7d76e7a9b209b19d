"""Digits by a hand-written GradientTape loop, trained on macro-F1.

Shows what `model.fit` hides: the loss and its gradients from a tape, gradients processed before
`apply_gradients`, the loss logged every 200 steps; then a persistent tape that watches tensors
which are not variables, the images and the logits.

    python examples/mnist_gradient_tape.py --mnist mnist.npz

Without --mnist it uses the small 8 x 8 digits that come with scikit-learn. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn import metrics
from sklearn.datasets import load_digits

import policygrad_metrics as pgm

REWARD = pgm.get_reward("f1_macro")
LIMIT = 0.15


def read_images(path):
    """Flat images in [0, 1] and digits, training and test."""
    if path is None:
        images, digits = load_digits(return_X_y=True)
        images = (images / 16.0).astype("float32")
        order = np.random.default_rng(0).permutation(len(digits))
        train, test = order[:1300], order[1300:]
        return images[train], digits[train], images[test], digits[test]
    with np.load(path, allow_pickle=False) as file:
        parts = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    for i in (0, 2):
        parts[i] = (parts[i].reshape(len(parts[i]), -1) / 255.0).astype("float32")
    return tuple(parts)


def network(pixels, seed=0):
    layers = [keras.layers.Input((pixels,))]
    for size, activation in ((128, "relu"), (10, None)):
        start = keras.initializers.GlorotUniform(seed=(seed := seed + 1))
        layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
    return keras.Sequential(layers)


def process(gradients):
    """What happens to gradients before they are applied: shortened to LIMIT in total."""
    return tf.clip_by_global_norm(gradients, LIMIT)


def train(model, images, digits, steps, batch=256, every=200):
    """The loop itself; the loss is 1 - expected macro-F1 of the batch plus .3 cross-entropy."""
    loss_function = pgm.PolicyGradientLoss(REWARD)
    optimizer = keras.optimizers.Adam(0.002)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_function(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        gradients, length = process(gradients)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, length

    rng = np.random.default_rng(0)
    losses, lengths = [], []
    for number in range(1, steps + 1):
        rows = rng.integers(len(digits), size=batch)
        loss, length = step(tf.constant(images[rows]), tf.constant(digits[rows]))
        losses.append(float(loss))
        lengths.append(float(length))
        if number % every == 0 or number == 1:
            clipped = np.mean(np.array(lengths[-every:]) > LIMIT)
            print(f"step {number:5d}   loss {np.mean(losses[-every:]):.4f}", end="   ")
            print(f"gradient norm {np.mean(lengths[-every:]):.3f}   clipped {clipped:4.0%}")


def gradients_of_tensors(model, images, digits):
    """One tape, asked several times, for gradients by tensors that are no variables."""
    loss_function = pgm.PolicyGradientLoss(REWARD, cross_entropy=0.0)
    x = tf.constant(images)
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = model(x)
        tape.watch(logits)
        reward = 1.0 - loss_function(digits, logits)
        entropy = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(digits, logits))
    by_logits = tape.gradient(reward, logits)
    by_logits_entropy = tape.gradient(entropy, logits)
    by_image = tape.gradient(reward, x)
    del tape  # a persistent tape keeps everything it recorded

    print(f"\nexpected macro-F1 of {len(digits)} test images: {float(reward):.4f}")
    exact = pgm.estimators.ExactExpectation()(logits, REWARD, digits).gradient
    difference = float(tf.reduce_max(tf.abs(exact - by_logits)))
    print(f"largest difference between the tape's and the estimator's gradient: {difference:.1e}")
    cosine = -tf.reduce_sum(by_logits * by_logits_entropy) / (
        tf.norm(by_logits) * tf.norm(by_logits_entropy)
    )
    print(f"cosine of the reward's gradient and minus cross-entropy's, by logits: {cosine:.3f}")
    side = int(np.sqrt(images.shape[1]))
    strength = np.abs(by_image.numpy()).sum(axis=0).reshape(side, side)
    strength /= strength.max()
    print("where a pixel matters to macro-F1 (0 to 9, summed over the images):")
    for row in strength[:: max(1, side // 14)]:
        print("   " + " ".join(str(int(9 * value)) for value in row[:: max(1, side // 14)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", type=Path, help="an mnist.npz: x_train, y_train, x_test, y_test")
    parser.add_argument("--quick", action="store_true", help="400 steps instead of 2,000")
    parser.add_argument("--out", type=Path, default=Path(), help="folder; nothing is written")
    arguments = parser.parse_args()
    images, digits, test_images, test_digits = read_images(arguments.mnist)
    print(f"{len(digits)} images of {images.shape[1]} pixels, {len(test_digits)} test images")
    model = network(images.shape[1])
    train(model, images, digits, steps=400 if arguments.quick else 2000)
    labels = model(test_images).numpy().argmax(axis=1)
    print(f"\ntest macro-F1 {metrics.f1_score(test_digits, labels, average='macro'):.4f}", end=", ")
    print(f"accuracy {metrics.accuracy_score(test_digits, labels):.4f}")
    gradients_of_tensors(model, test_images[:500], test_digits[:500].astype("int64"))


if __name__ == "__main__":
    main()
