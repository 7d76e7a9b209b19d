"""A PM2.5 regressor that should hit the right AQI level: why a step in the loss does not train.

The level of a concentration is a step function, here Taiwan's with its first steps at 15.45 and
35.45 ug/m3. This example measures, on synthetic hours,

1. the gradient of the hard step loss |step(y_true) - step(y_pred)|: none at all;
2. the gradient of smoothed steps: alive at the steps, gone between them;
3. beside them the perceptron's unit step, ReLU, accuracy and F1: which have a gradient;
4. a network trained on the exact level by policy gradient, next to the usual ways.

    python examples/step_function_loss.py --out pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import matplotlib
import numpy as np
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics import aqi
from policygrad_metrics.losses.steps import StaircaseStepsLoss, TanhStepsLoss
from policygrad_metrics.surrogates.steps import staircase_level, tanh_level

SCALE = "taiwan"
EDGES = aqi.thresholds(SCALE)


def synthetic_hours(N, seed):
    """Weather and PM2.5 in ug/m3: wind blows it away, stable damp air keeps it."""
    rng = np.random.default_rng(seed)
    wind, damp, stable, season = rng.normal(size=(4, N))
    log_pm25 = 3.2 - 0.45 * wind + 0.35 * damp * (stable > 0) + 0.35 * stable + 0.3 * season
    pm25 = np.exp(log_pm25 + 0.25 * rng.normal(size=N))
    return np.stack([wind, damp, stable, season], axis=1).astype("float32"), pm25.astype("float32")


def hard_level(values):
    """The step function: how many edges lie below. Its slope is zero wherever it has one."""
    return tf.reduce_sum((tf.sign(values[..., None] - EDGES.astype("float32")) + 1.0) / 2.0, -1)


def slope(function, values):
    """The derivative of sum(function(values)) with respect to every value."""
    values = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(function(values))
    return tape.gradient(total, values, unconnected_gradients="zero").numpy()


def show_levels():
    print("1, 2: the slope of the level by the predicted concentration, at and between two steps")
    places = [15.45, 16.5, 20.0, 25.45, 30.0, 35.45]
    levels = {
        "hard step": hard_level,
        "tanh, sharpness 1": lambda x: tanh_level(x, edges=EDGES, sharpness=1.0),
        "tanh, sharpness .1": lambda x: tanh_level(x, edges=EDGES, sharpness=0.1),
        "sigmoid staircase": lambda x: staircase_level(x, edges=EDGES, sharpness=10.0),
    }
    print(f"   {'ug/m3':20}" + "".join(f"{place:9.2f}" for place in places))
    for name, level in levels.items():
        print(f"   {name:20}" + "".join(f"{s:9.1e}" for s in slope(level, places)))
    print()


def show_activations_and_metrics():
    print("3: what has a gradient by eight logits z (the truth is 1 1 1 0 0 0 0 0)")
    z = np.array([2.0, 0.6, -0.3, 0.4, -0.2, -0.9, -1.5, -3.0])
    y = tf.constant([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    loss = pgm.PolicyGradientLoss("f1", cross_entropy=0.0)

    def unit_step(z):
        return (tf.sign(z) + 1.0) / 2.0

    def f1(z):
        hits = tf.reduce_sum(y * unit_step(z))
        return 2.0 * hits / (tf.reduce_sum(y) + tf.reduce_sum(unit_step(z)))

    members = {
        "unit step H(z)": unit_step,
        "ReLU(z)": tf.nn.relu,
        "accuracy of H(z)": lambda z: tf.reduce_mean(1.0 - tf.abs(y - unit_step(z))),
        "F1 of H(z)": f1,
        "expected F1 of labels ~ sigmoid(z)": lambda z: 1.0 - loss(y, z[:, None]),
    }
    for name, function in members.items():
        found = slope(function, z)
        print(f"   {name:36}" + "".join(f"{s:8.3f}" for s in found))
    print(
        "   ReLU trains because its slope is 1 on one side; a step, and any metric that counts\n"
        "   steps, has slope 0 on both. The expected metric is smooth: labels are drawn, not cut.\n"
    )


def network(outputs, seed, last=()):
    layers = [keras.layers.Input((4,))]
    for size, activation in ((32, "tanh"), (outputs, None)):
        start = keras.initializers.GlorotUniform(seed=(seed := seed + 1))
        layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
    return keras.Sequential([*layers, *last])


def distance_moved(model, before):
    pairs = zip(model.get_weights(), before, strict=True)
    return float(np.sqrt(sum(((new - old) ** 2).sum() for new, old in pairs)))


def train(train_set, test_set, epochs, seed=0):
    """Train each way on the same hours; return predicted concentrations by name."""
    x, pm25 = train_set
    middle, unit = float(pm25.mean()), float(pm25.std())
    rescale = keras.layers.Rescaling(unit, middle)  # outputs near 0, concentrations outside
    policy = pgm.policies.BinnedRegression.for_scale(SCALE, center=middle, unit=unit)

    def hard_step_loss(y_true, y_pred):
        return tf.abs(hard_level(tf.reshape(y_true, [-1, 1])) - hard_level(y_pred))

    methods = {
        "hard step": (hard_step_loss, 1, [rescale]),
        "tanh steps, sharpness 1": (TanhStepsLoss(EDGES), 1, [rescale]),
        "tanh steps, sharpness .1": (TanhStepsLoss(EDGES, sharpness=0.1), 1, [rescale]),
        "sigmoid staircase": (StaircaseStepsLoss(EDGES), 1, [rescale]),
        "mean squared error": ("mse", 1, [rescale]),
        "policy gradient, exact_bin": (pgm.PolicyGradientLoss("exact_bin", policy=policy), 2, []),
    }
    truth = aqi.level(test_set[1], SCALE)
    commonest = np.bincount(aqi.level(pm25, SCALE).astype(int)).argmax()
    print(f"4: {len(pm25)} synthetic hours to train on, {len(truth)} to test on, {epochs} epochs")
    print(f"   always level {commonest}: {np.mean(truth == commonest):.3f} of the levels right\n")
    print(f"   {'trained on':28}{'weights moved':>14}{'level right':>13}{'mean error ug/m3':>18}")
    predicted = {}
    for name, (loss, outputs, last) in methods.items():
        model = network(outputs, seed, last)
        before = [w.copy() for w in model.get_weights()]
        model.compile(keras.optimizers.Adam(0.01), loss=loss, jit_compile=False)
        model.fit(x, pm25, batch_size=256, epochs=epochs, shuffle=False, verbose=0)
        moved = distance_moved(model, before)
        outputs = model(test_set[0]).numpy()
        if name.startswith("policy"):
            levels, value = policy.predict(outputs).numpy(), policy.location(outputs).numpy()
        else:
            value = outputs[:, 0]
            levels = aqi.level(np.maximum(value, 0.0), SCALE)
        predicted[name] = value
        error = np.abs(value - test_set[1]).mean()
        print(f"   {name:28}{moved:14.3f}{np.mean(levels == truth):13.3f}{error:18.1f}")
    share = np.mean(levels == truth)
    error = np.sqrt(share * (1 - share) / len(truth))
    print(
        f"\n   One standard error of a share is {error:.3f} here."
        "\n   Hold the differences against it before you prefer one smooth way to another."
        "\n   The hard step leaves the network where it began. Every smooth way trains; the policy"
        "\n   gradient does it for any metric of levels and also gives a probability of each."
    )
    return predicted


def picture(predicted, pm25, path):
    """Left: the steps and their slopes. Right: predicted against true concentrations."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    x = np.linspace(0, 60, 1201).astype("float32")
    curves = {
        "hard step": (aqi.level(x, SCALE), "black"),
        "tanh, sharpness 1": (tanh_level(tf.constant(x), edges=EDGES), "#D55E00"),
        "sigmoid staircase": (staircase_level(tf.constant(x), edges=EDGES), "#0072B2"),
    }
    for name, (level, colour) in curves.items():
        left.plot(x, level, color=colour, label=name, lw=1.4)
    left.set(xlabel="PM2.5 (ug/m3)", ylabel="level", title="The level, hard and smoothed (Taiwan)")
    left.legend(frameon=False)
    low, high = 4.0, 250.0
    ends = np.clip([low, *EDGES, high], low, high)
    for start, end, colour in zip(ends[:-1], ends[1:], aqi.colours(SCALE), strict=True):
        right.fill_between([start, end], start, end, color=colour, alpha=0.35, lw=0)
    for name, colour in (("hard step", "black"), ("policy gradient, exact_bin", "#0072B2")):
        shown = np.clip(predicted[name], low, high)
        right.plot(pm25, shown, ".", ms=3, alpha=0.5, color=colour, label=name)
    right.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(low, high),
        xlabel="true PM2.5 (ug/m3)",
        ylabel=f"predicted PM2.5 (ug/m3; below {low:g} drawn at {low:g})",
        title="Test hours; coloured where the level is right",
    )
    for axis in (right.xaxis, right.yaxis):
        axis.set_ticks([5, 10, *EDGES[:-1]], [f"{tick:g}" for tick in (5, 10, *EDGES[:-1])])
        axis.set_ticks([], minor=True)
    right.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer hours and epochs")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the picture")
    arguments = parser.parse_args()
    N, epochs = (1000, 15) if arguments.quick else (4000, 40)
    show_levels()
    show_activations_and_metrics()
    test_set = synthetic_hours(2000, seed=1)
    predicted = train(synthetic_hours(N, seed=0), test_set, epochs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "step_function_loss.png"
    picture(predicted, test_set[1], path)
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
