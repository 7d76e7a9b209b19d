"""Segmentation trained on mean intersection over union itself, on synthetic shapes.

Noisy images with a few small discs and thin crosses: nearly all pixels are background, and a
network can be 95 % right without finding a single cross. One small convolutional network is trained
with cross-entropy, one on the mean IoU over all pixels of a batch; `policy="softmax"` reads
outputs `[B, H, W, classes]` as one site per pixel.

    python examples/segmentation_iou.py --out pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import matplotlib
import numpy as np
from sklearn.metrics import jaccard_score

import policygrad_metrics as pgm

SIDE = 32
NAMES = ("background", "disc", "cross")


def images(N, seed):
    """Grey images `[N, 32, 32, 1]` and the class of every pixel `[N, 32, 32]`."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:SIDE, :SIDE]
    classes = np.zeros((N, SIDE, SIDE), "int32")
    for image in classes:
        for _ in range(rng.integers(1, 3)):
            at, radius = rng.integers(5, SIDE - 5, 2), rng.uniform(2.0, 3.5)
            image[(row - at[0]) ** 2 + (column - at[1]) ** 2 <= radius**2] = 1
        for _ in range(rng.integers(1, 3)):
            at, arm = rng.integers(5, SIDE - 5, 2), rng.integers(2, 5)
            near = (abs(row - at[0]) <= arm) & (abs(column - at[1]) <= arm)
            image[near & ((row == at[0]) | (column == at[1]))] = 2
    bright = np.array([0.0, 0.8, 1.0])[classes] + rng.normal(scale=0.6, size=classes.shape)
    return bright[..., None].astype("float32"), classes


def network(seed=0):
    layers = [keras.layers.Input((SIDE, SIDE, 1))]
    for filters in (12, 12):
        start = keras.initializers.HeUniform(seed=(seed := seed + 1))
        layers.append(
            keras.layers.Conv2D(
                filters, 5, padding="same", activation="relu", kernel_initializer=start
            )
        )
    start = keras.initializers.GlorotUniform(seed=seed + 1)
    layers.append(keras.layers.Conv2D(len(NAMES), 1, kernel_initializer=start))  # logits
    return keras.Sequential(layers)


def train(loss, train_set, epochs):
    model = network()
    model.compile(
        keras.optimizers.Adam(0.004),
        loss=loss,
        metrics=[pgm.RewardMetric("mean_iou", policy="softmax")],
        jit_compile=False,
    )
    model.fit(*train_set, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
    return model


def picture(test_set, predicted, path):
    """A few test images, their truth, and what each network makes of them."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = {"image": test_set[0][..., 0], "truth": test_set[1], **predicted}
    figure, axes = plt.subplots(len(rows), 6, figsize=(9, 1.5 * len(rows)), layout="constrained")
    for panels, (name, values) in zip(axes, rows.items(), strict=True):
        for panel, value in zip(panels, values, strict=False):
            limits = {} if name == "image" else {"vmin": 0, "vmax": 2, "cmap": "viridis"}
            panel.imshow(value, **{"cmap": "gray", **limits})
            panel.set(xticks=[], yticks=[])
        panels[0].set_ylabel(name, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer images and epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the picture")
    arguments = parser.parse_args()
    N, epochs = (160, 4) if arguments.quick else (480, 24)
    train_set, test_set = images(N, seed=0), images(200, seed=1)
    shares = np.bincount(test_set[1].ravel()) / test_set[1].size
    print("pixels:", ", ".join(f"{n} {s:.1%}" for n, s in zip(NAMES, shares, strict=True)), "\n")
    losses = {
        "cross-entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "mean IoU": pgm.PolicyGradientLoss("mean_iou", policy="softmax"),
    }
    print(f"{'trained on':16}{'pixels right':>14}{'mean IoU':>10}", end="")
    print("".join(f"{'IoU ' + name:>17}" for name in NAMES))
    predicted = {}
    for name, loss in losses.items():
        model = train(loss, train_set, epochs)
        predicted[name] = model(test_set[0]).numpy().argmax(axis=-1)
        truth, labels = test_set[1].ravel(), predicted[name].ravel()
        iou = jaccard_score(truth, labels, average=None, zero_division=0.0)
        print(f"{name:16}{np.mean(truth == labels):14.3f}{iou.mean():10.3f}", end="")
        print("".join(f"{value:17.3f}" for value in iou))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "segmentation_iou.png"
    picture(test_set, predicted, path)
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
