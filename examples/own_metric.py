"""Your own metric in five lines, in five ways, from the most to the least that you can tell of it.

1. a gain matrix: what each pair of truth and label is worth;
2. a ratio of sums over examples, such as "hits per alarm": differentiated exactly;
3. a function of the confusion matrix, in TensorFlow operations: by local expectation;
4. any Python function of truth and labels of which only the confusion matrix matters: called on
   weighted cells, by local expectation;
5. any Python function at all: by REINFORCE, with one number per label set, and with a proxy that
   resembles it to take out the noise that both share.

The less is told, the noisier the gradient. All five are trained on the same synthetic faults.

    python examples/own_metric.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn import metrics

import policygrad_metrics as pgm

# 1. Rows: the truth (ok, worn, broken); columns: the label. A missed break costs most.
worth = pgm.rewards.GainMatrix([[0.0, -0.1, -0.3], [-0.5, 1.0, 0.2], [-4.0, 0.0, 3.0]])


# 2. Of all that is reported as broken, and of all that is broken: Jaccard's ratio, by hand.
def hits_per_alarm(y_true, weight, num_classes):
    chosen = tf.one_hot(2, num_classes) * weight[:, None]  # 1 where the label is "broken"
    broken = weight * tf.cast(y_true == 2, tf.float32)
    missed_or_false = chosen * tf.cast(y_true != 2, tf.float32)[:, None]
    return chosen * broken[:, None], missed_or_false, 0.0, tf.reduce_sum(broken)


# 3. The lower of the recalls of "worn" and "broken".
def weaker_recall(confusion):
    recall = tf.linalg.diag_part(confusion) / tf.maximum(tf.reduce_sum(confusion, -1), 1e-6)
    return tf.reduce_min(recall[..., 1:], -1)


# 4. Whatever scikit-learn or you can compute.
def macro_f2(y_true, y_pred, sample_weight=None):
    return metrics.fbeta_score(
        y_true, y_pred, beta=2, average="macro", sample_weight=sample_weight, zero_division=0.0
    )


# 5. A crew has time for one repair in every twelve machines, and goes down the list.
def repaired_in_time(y_true, y_pred):
    reported = np.flatnonzero(y_pred == 2)[: len(y_pred) // 12]
    return np.sum(y_true[reported] == 2) / max(np.sum(y_true == 2), 1) - 0.1 * np.mean(y_pred == 2)


REWARDS = {
    "gain matrix": worth,
    "ratio of sums": pgm.rewards.RatioReward(hits_per_alarm),
    "function of the confusion matrix": pgm.rewards.CountReward(weaker_recall),
    "black box of counts (macro-F2)": pgm.rewards.BlackBox(macro_f2, counts=True),
    "black box (repaired in time)": pgm.rewards.BlackBox(repaired_in_time),
}
ESTIMATORS = {
    "black box (repaired in time)": pgm.estimators.ControlVariate(("jaccard_macro", "learned"))
}


def faults(N, seed):
    """Sensor features and states: 80 % ok, 15 % worn, 5 % broken, with overlap."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=N, p=[0.8, 0.15, 0.05])
    x = rng.normal(size=(N, 6)) + np.array([0.0, 0.8, 1.5])[y][:, None] * (np.arange(6) < 3)
    return x.astype("float32"), y


def network(seed=0):
    layers = [keras.layers.Input((6,))]
    for size, activation in ((32, "relu"), (3, None)):
        start = keras.initializers.GlorotUniform(seed=(seed := seed + 1))
        layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
    return keras.Sequential(layers)


def train(loss, train_set, epochs):
    model = network()
    # A Python function cannot be compiled by XLA, so none of the five is.
    model.compile(keras.optimizers.Adam(0.01), loss=loss, jit_compile=False)
    model.fit(*train_set, batch_size=512, epochs=epochs, shuffle=False, verbose=0)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder; nothing is written")
    epochs = 4 if parser.parse_args().quick else 25
    train_set, (x_test, y_test) = faults(4096, seed=0), faults(4096, seed=1)
    labels = {}
    trained_on = {"cross-entropy": pgm.SurrogateLoss("cross_entropy")}
    for name, reward in REWARDS.items():
        trained_on[name] = pgm.PolicyGradientLoss(
            reward, gradient_estimator=ESTIMATORS.get(name, "auto")
        )
    for name, loss in trained_on.items():
        labels[name] = train(loss, train_set, epochs)(x_test).numpy().argmax(axis=1)
        print(f"trained on {name}: labels chosen {np.bincount(labels[name], minlength=3).tolist()}")

    print(
        f"\n{'scored by, on test data':36}{'after cross-entropy':>22}{'after training on it':>24}"
    )
    for name, reward in REWARDS.items():
        before, after = (float(reward(y_test, labels[n])) for n in ("cross-entropy", name))
        print(f"{name:36}{before:22.3f}{after:24.3f}")


if __name__ == "__main__":
    main()
