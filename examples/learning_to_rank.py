"""Learning to rank: lists of a query, graded from 0 to 3, judged by NDCG@10.

Every query has a list of up to 40 documents; shorter ones are padded with documents of weight 0. A
small network gives each document a score. The same network, alike at the start, is trained on four
losses: binary cross-entropy of "relevant or not", ListNet, the ApproxNDCG surrogate, and the exact
gradient of the expected NDCG@10 under Plackett-Luce. All are judged by NDCG@10 of new queries.

    python examples/learning_to_rank.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import policygrad_metrics as pgm

LENGTH, FEATURES = 40, 12


def queries(N, seed):
    """Features `[N, 40, 12]`, grades `[N, 40]` and weights `[N, 40]`, 0 for padding."""
    world = np.random.default_rng(0)  # the same taste for every part
    taste, bend = world.normal(size=(2, FEATURES)) / np.sqrt(FEATURES)
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(N, LENGTH, FEATURES)) + 0.5 * rng.normal(size=(N, 1, FEATURES))
    worth = x @ taste + np.abs(x @ bend) + 0.7 * rng.normal(size=(N, LENGTH))
    grades = np.digitize(worth, [1.6, 2.3, 3.0])
    there = np.arange(LENGTH) < rng.integers(10, LENGTH + 1, size=(N, 1))
    return x.astype("float32"), grades * there, there.astype("float32")


def network():
    """A score `[lists, 40]` of every document, by the same small network for all."""
    first, second = (keras.initializers.GlorotUniform(seed=seed) for seed in (1, 2))
    documents = keras.layers.Input((LENGTH, FEATURES))
    hidden = keras.layers.Dense(32, "relu", kernel_initializer=first)(documents)
    scores = keras.layers.Dense(1, kernel_initializer=second)(hidden)
    return keras.Model(documents, keras.layers.Reshape((LENGTH,))(scores))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder; nothing is written")
    epochs = 5 if parser.parse_args().quick else 30
    (x, grades, weight), (x_test, grades_test, weight_test) = queries(600, 1), queries(600, 2)
    relevant = (grades > 0).astype(int)
    losses = {
        "binary cross-entropy": (pgm.SurrogateLoss("cross_entropy", policy="sigmoid"), relevant),
        "ListNet": (pgm.SurrogateLoss("listnet"), grades),
        "ApproxNDCG": (pgm.SurrogateLoss("approx_ndcg"), grades),
        "expected NDCG@10": (pgm.PolicyGradientLoss("ndcg@10"), grades),
    }
    ndcg = pgm.get_reward("ndcg@10")
    print(f"{'loss':22}{'NDCG@10 of new queries':>24}")
    for name, (loss, truth) in losses.items():
        model = network()
        model.compile(keras.optimizers.Adam(0.01), loss=loss)
        keras.utils.set_random_seed(0)
        model.fit(x, truth, sample_weight=weight, batch_size=64, epochs=epochs, verbose=0)
        scores = model.predict(x_test, verbose=0)
        print(f"{name:22}{ndcg(grades_test, scores, weight_test):>24.4f}", flush=True)


if __name__ == "__main__":
    main()
