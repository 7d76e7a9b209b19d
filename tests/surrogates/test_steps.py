"""Smoothed steps: surrogates, activation and Keras losses, through the list STEP_SURROGATES."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from policygrad_metrics.losses.steps import StaircaseStepsLoss, TanhStepsLoss
from policygrad_metrics.surrogates.activations import SigmoidStaircase
from policygrad_metrics.surrogates.steps import (
    SMOOTH_LEVELS,
    sigmoid_staircase,
    staircase_level,
    staircase_steps,
    tanh_level,
    tanh_steps,
)

EDGES = [15.45, 35.45, 54.45, 150.45]
STEP_SURROGATES = {"tanh_steps": tanh_steps, "staircase_steps": staircase_steps}
every_surrogate = pytest.mark.parametrize("name", STEP_SURROGATES)
every_loss = pytest.mark.parametrize("loss_class", [TanhStepsLoss, StaircaseStepsLoss])


def random_batch(seed, N=9, dtype=np.float64):
    rng = np.random.default_rng(seed)
    y_true = rng.uniform(0, 200, N).astype(dtype)
    y_pred = (rng.choice(EDGES, N) + rng.normal(0, 3, N)).astype(dtype)  # where the steps are
    return y_true, y_pred, rng.uniform(0.5, 2.0, N).astype(dtype)


def value_and_gradient(name, y_true, y_pred, weight, **options):
    y_pred = tf.convert_to_tensor(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = STEP_SURROGATES[name](y_true, y_pred, weight, edges=EDGES, **options)
    return value, tape.gradient(value, y_pred)


def slow_tanh_level(x, sharpness):
    return sum((math.tanh(sharpness * (x - edge)) + 1) / 2 for edge in EDGES)


def slow_staircase_level(x, sharpness):
    widths = [20.0, 19.5, 57.5, 96.0]  # by hand: (54.45 - 15.45) / 2 is 19.5, and so on
    return sum(
        1 / (1 + math.exp(-sharpness * (x - edge) / width))
        for edge, width in zip(EDGES, widths, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "slow", "sharpness"),
    [
        ("tanh_steps", slow_tanh_level, 1.0),
        ("tanh_steps", slow_tanh_level, 0.05),
        ("staircase_steps", slow_staircase_level, 10.0),
        ("staircase_steps", slow_staircase_level, 3.0),
    ],
)
def test_formula_one_value_at_a_time(name, slow, sharpness):
    y_true, y_pred, weight = random_batch(0)
    differences = [
        abs(slow(y, sharpness) - slow(x, sharpness)) for y, x in zip(y_true, y_pred, strict=True)
    ]
    expected = np.average(differences, weights=weight)
    value, _ = value_and_gradient(name, y_true, y_pred, weight, sharpness=sharpness)
    assert float(value) == pytest.approx(expected, abs=1e-13)


def test_the_question_s_two_step_formula():
    """(tanh(x - 15.45) + 1)/2 + (tanh(x - 35.45) + 1)/2 at round values of the tanh."""
    x = np.array([15.45, 35.45, 15.45 + math.atanh(0.5), 25.45, 100.0])
    level = tanh_level(x, edges=[15.45, 35.45]).numpy()
    np.testing.assert_allclose(level, [0.5, 1.5, 0.75, 1.0, 2.0], atol=1e-8)  # tanh(10) = 1 - 4e-9


@every_surrogate
def test_sharp_steps_count_levels(name):
    y_true, y_pred, weight = random_batch(1, N=200)
    levels = [np.digitize(values, EDGES) for values in (y_true, y_pred)]
    away = np.abs(np.subtract.outer([y_true, y_pred], EDGES)).min(axis=(0, 2)) > 0.05
    kept = y_true[away], y_pred[away], weight[away]
    value, _ = value_and_gradient(name, *kept, sharpness=1e5)
    expected = np.average(np.abs(levels[0] - levels[1])[away], weights=kept[2])
    assert float(value) == pytest.approx(expected, abs=1e-9)


@every_surrogate
@pytest.mark.parametrize("sharpness", [0.02, 2.0])
def test_gradients_are_those_of_finite_differences(name, sharpness):
    y_true, y_pred, weight = random_batch(2)
    _, gradient = value_and_gradient(name, y_true, y_pred, weight, sharpness=sharpness)
    step = 1e-4
    shifts = step * np.eye(len(y_pred))
    numeric = [
        (
            float(value_and_gradient(name, y_true, y_pred + s, weight, sharpness=sharpness)[0])
            - float(value_and_gradient(name, y_true, y_pred - s, weight, sharpness=sharpness)[0])
        )
        / (2 * step)
        for s in shifts
    ]
    # step^2 times a third derivative below 10, and rounding 1e-16 / step.
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=2e-8)
    assert np.abs(numeric).max() > 1e-5


def test_the_tanh_gradient_vanishes_between_steps_and_the_staircase_keeps_one():
    x = tf.constant([25.45, 100.0], tf.float32)
    slopes = {}
    for name, level in SMOOTH_LEVELS.items():
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = level(x, edges=EDGES)
        slopes[name] = tape.gradient(value, x).numpy()
    np.testing.assert_array_equal(slopes["tanh_steps"], [0.0, 0.0])
    assert np.all(slopes["staircase_steps"] > 1e-4)


@every_surrogate
def test_weights_are_multiplicities(name):
    y_true, y_pred, weight = random_batch(3)
    times = np.array([1, 0, 2, 1, 0, 2, 1, 1, 3])
    rows = np.repeat(np.arange(9), times)
    value, gradient = value_and_gradient(name, y_true, y_pred, weight * times, sharpness=0.1)
    expected, by_row = value_and_gradient(
        name, y_true[rows], y_pred[rows], weight[rows], sharpness=0.1
    )
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-13)
    summed = np.zeros(9)
    np.add.at(summed, rows, by_row.numpy())
    np.testing.assert_allclose(gradient, summed, rtol=0, atol=1e-13)


@every_surrogate
def test_right_is_zero_and_far_or_unweighted_values_stay_finite(name):
    y_true, _, weight = random_batch(4, dtype=np.float32)
    assert float(value_and_gradient(name, y_true, y_true, weight)[0]) == 0.0
    far = np.array([-1e30, -1e4, 0.0, 1e4, 1e30], np.float32)
    value, gradient = value_and_gradient(name, np.zeros(5, np.float32), far, np.ones(5))
    # Two of five are above all four edges; both ends of a step are reached in float32.
    assert float(value) == pytest.approx(2 * 4 / 5, abs=1e-2)
    assert np.isfinite(gradient).all()
    value, gradient = value_and_gradient(name, y_true, y_true + 50, 0 * weight)
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient, np.zeros(9))


@every_surrogate
def test_eager_graph_and_xla_agree(name):
    batch = [tf.constant(part) for part in random_batch(5, dtype=np.float32)]
    eager = value_and_gradient(name, *batch)
    for jit in (False, True):
        compiled = tf.function(value_and_gradient, jit_compile=jit, autograph=False)
        for a, b in zip(compiled(name, *batch), eager, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=3e-6)


def test_names_are_those_of_the_functions():
    assert STEP_SURROGATES.keys() == SMOOTH_LEVELS.keys()
    for name, surrogate in STEP_SURROGATES.items():
        assert surrogate.__name__ == name


@every_surrogate
@pytest.mark.parametrize(
    ("error", "words", "changed"),
    [
        (ValueError, "y_true must have the shape of y_pred", {"y_true": np.zeros([9, 1])}),
        (ValueError, "weight must have the shape of y_pred", {"weight": np.ones(8)}),
        (TypeError, "y_pred must be floating-point, got int", {"y_pred": np.zeros(9, int)}),
        (ValueError, "edges must be increasing", {"edges": [2.0, 1.0]}),
        (ValueError, "edges must be a list of one or more", {"edges": []}),
        (ValueError, "edges must be a list of one or more", {"edges": 15.45}),
        (ValueError, "edges must be a list of one or more", {"edges": [1.0, float("nan")]}),
        (ValueError, "sharpness must be positive, got 0", {"sharpness": 0.0}),
    ],
)
def test_bad_arguments_are_named(name, error, words, changed):
    y_true, y_pred, weight = random_batch(6)
    arguments = {"y_true": y_true, "y_pred": y_pred, "weight": weight, "edges": EDGES}
    with pytest.raises(error, match=words):
        STEP_SURROGATES[name](**{**arguments, **changed})


# ---------------------------------------------------------------- the staircase on [0, 1]


def test_the_staircase_of_the_question():
    """Steps at 1/8, 3/8, 5/8, 7/8, each h / (1 + exp(-sharp (z - centre) / h)), h = 1/4."""
    z = np.linspace(-0.5, 1.5, 41)
    for sharpness in (5.0, 10.0, 40.0):
        expected = [
            sum(0.25 / (1 + math.exp(-sharpness * (x - c / 8) / 0.25)) for c in (1, 3, 5, 7))
            for x in z
        ]
        actual = sigmoid_staircase(z, steps=4, sharpness=sharpness)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("steps", [2, 4, 9])
def test_the_two_staircases_are_one(steps):
    z = np.linspace(-0.2, 1.2, 50)
    centres = (2 * np.arange(steps) + 1) / (2 * steps)
    level = staircase_level(z, edges=centres, sharpness=7.0)
    np.testing.assert_allclose(sigmoid_staircase(z, steps=steps, sharpness=7.0), level / steps)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.integers(1, 12),
    sharpness=st.floats(1.0, 30.0),
    z=st.lists(st.floats(0.0, 1.0), min_size=2, max_size=8, unique=True).map(sorted),
)
def test_the_staircase_rises_everywhere_and_is_symmetric(steps, sharpness, z):
    z = tf.constant(z, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = sigmoid_staircase(z, steps=steps, sharpness=sharpness)
    # At most half a step from the next one: 30 exp(-15) / (1 + exp(-15))^2 is 9e-6.
    assert np.all(tape.gradient(value, z).numpy() > 5e-6)
    mirrored = sigmoid_staircase(1 - z, steps=steps, sharpness=sharpness)
    np.testing.assert_allclose(value + mirrored, 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("sharpness", "slope"), [(5.0, 0.70), (10.0, 0.13)])
def test_slopes_between_steps_are_those_of_the_docstring(sharpness, slope):
    z = tf.constant([0.25, 0.5, 0.75])
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = sigmoid_staircase(z, sharpness=sharpness)
    np.testing.assert_allclose(tape.gradient(value, z), slope, rtol=0, atol=0.01)


@pytest.mark.parametrize("steps", [0, -1, 2.0, True, "4"])
def test_bad_steps_are_named(steps):
    with pytest.raises(ValueError, match="steps must be a whole number, 1 or more"):
        SigmoidStaircase(steps)


@pytest.mark.slow
def test_the_activation_survives_saving_and_training(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (256, 3)).astype(np.float32)
    y = np.round(4 / (1 + np.exp(-3 * x[:, :1]))) / 4
    start = keras.initializers.GlorotUniform(seed=0)
    activation = SigmoidStaircase(steps=4, sharpness=6.0)
    layer = keras.layers.Dense(
        1, activation, kernel_initializer=start, bias_initializer=keras.initializers.Constant(0.5)
    )
    model = keras.Sequential([keras.layers.Input((3,)), layer])
    model.compile(keras.optimizers.Adam(0.02), loss="mae")
    losses = model.fit(x, y, epochs=15, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].activation.get_config() == {"steps": 4, "sharpness": 6.0}
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


# ---------------------------------------------------------------- Keras losses


@every_loss
def test_the_loss_is_the_surrogate_with_weights_as_multiplicities(loss_class):
    y_true, y_pred, weight = random_batch(7, dtype=np.float32)
    weight[[2, 5]] = 0.0
    loss = loss_class(EDGES, sharpness=0.5)
    surrogate = STEP_SURROGATES[loss_class.surrogate]
    for weights in (None, weight):
        expected = surrogate(
            y_true, y_pred, np.ones(9) if weights is None else weights, edges=EDGES, sharpness=0.5
        )
        for truth in (y_true, y_true[:, None]):  # [B] beside [B, 1] must not become [B, B]
            value = loss(truth, y_pred[:, None], weights)
            assert float(value) == pytest.approx(float(expected), abs=2e-6)


@pytest.mark.few(1)
@every_loss
def test_losses_train_save_and_load(loss_class, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 3)).astype(np.float32)
    y = 40 + 25 * x[:, 0]
    start = keras.initializers.GlorotUniform(seed=0)
    layers = [keras.layers.Dense(1, kernel_initializer=start), keras.layers.Rescaling(25.0, 40.0)]
    model = keras.Sequential([keras.layers.Input((3,)), *layers])
    model.compile(keras.optimizers.Adam(0.05), loss=loss_class(np.array(EDGES), sharpness=0.5))
    losses = model.fit(x, y, epochs=20, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))


@every_loss
def test_losses_refuse_what_does_not_fit(loss_class):
    with pytest.raises(ValueError, match="edges must be increasing"):
        loss_class([2.0, 1.0])
    with pytest.raises(ValueError, match="sharpness must be positive"):
        loss_class(EDGES, sharpness=-1.0)
    with pytest.raises(ValueError, match="end the network with Dense"):
        loss_class(EDGES)(np.zeros(4), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="one target value per example"):
        loss_class(EDGES)(np.zeros(3), np.zeros((4, 1)))
