"""`PolicyGradientLoss(subject_to=)`: the gradient, the multipliers, and what training keeps."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.core.batch import canonical_batch
from policygrad_metrics.losses.lagrangian import (
    ETA,
    MOST_EXCESS,
    MOST_GROWTH,
    MOST_MULTIPLIER,
    RHO,
    Lagrangian,
)
from policygrad_metrics.rewards.inequalities import Constraints

rng = np.random.default_rng(0)


def excess_of(constraints, z, y, weight, group, stored):
    """The inequalities at expected counts, in float64, written out again."""
    p = tf.nn.softmax(tf.cast(z, tf.float64))
    K, G = z.shape[-1], constraints.groups
    cells = tf.one_hot(group * K + y, G * K, dtype=tf.float64) * weight[:, None]
    counts = tf.reshape(tf.transpose(cells) @ p, [G, 1, K, K]) + stored
    return constraints.excess(counts), tf.reduce_sum(counts) / np.sum(weight)


CASES = {
    "floor": (["precision>=0.9"], 2),
    "ceiling": (["false_positive_rate<=0.01"], 2),
    "several": (["recall_macro>=0.9", "coverage<=0.05"], 3),
    "groups": ([pgm.at_most("recall_gap", 0.01, groups=2), "precision>=0.95"], 2),
    "kinked": (["worst_class_recall>=0.9"], 3),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weighted", [False, True], ids=["counted", "weighted"])
def test_the_gradient_is_that_of_the_rates_at_expected_counts(name, weighted):
    subject_to, K = CASES[name]
    constraints = Constraints.of(subject_to)
    N, G, M = 12, constraints.groups, len(constraints.bounds)
    z = tf.constant(rng.normal(size=(N, K)), tf.float32)
    y, group = rng.integers(0, K, N), rng.integers(0, G, N)
    weight = rng.gamma(1.0, size=N) if weighted else np.ones(N)
    stored = rng.gamma(1.0, size=(G, 1, K, K)) * 10.0
    multipliers = np.full(M, 1.5)
    batch = canonical_batch(z, y, weight if weighted else None, False)
    batch = dataclasses.replace(batch, group=tf.constant(group, tf.int32))
    state = tuple(tf.constant(x, tf.float32) for x in (multipliers, stored))
    slope, (after, kept) = Lagrangian(constraints, window=50.0).step(batch, state)

    with tf.GradientTape() as tape:
        tape.watch(z)
        excess, scale = excess_of(constraints, z, y, weight, group, stored)
        at_once, for_good = (
            np.clip(excess, -most, most) * (1.0 + multipliers)
            for most in (MOST_EXCESS, MOST_GROWTH)
        )
        cost = tf.reduce_sum(np.maximum(multipliers + RHO * at_once, 0.0) * excess)
    expected = -scale.numpy() * tape.gradient(cost, z).numpy()
    # float32 probabilities and sums of a dozen terms
    np.testing.assert_allclose(slope[:, 0], expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(after, np.maximum(multipliers + ETA * for_good, 0.0), rtol=1e-5)
    total = stored.sum() + weight.sum()
    assert float(tf.reduce_sum(kept)) == pytest.approx(total * 50 / (50 + weight.sum()), rel=1e-5)


def network(columns=1):
    start = [keras.initializers.GlorotUniform(seed=i) for i in range(2)]
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(16, "relu", kernel_initializer=start[0]),
            keras.layers.Dense(columns, kernel_initializer=start[1]),
        ]
    )


def toy(N=512):
    x = rng.normal(size=(N, 4)).astype("float32")
    return x, (x[:, 0] + rng.normal(size=N) > 0.8).astype(int)


def fitted(x, y, subject_to, epochs=30, compiled="auto", columns=1, **arguments):
    model = network(columns)
    loss = pgm.PolicyGradientLoss("accuracy", subject_to=subject_to, **arguments)
    model.compile(keras.optimizers.Adam(0.01), loss=loss, jit_compile=compiled)
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, shuffle=False)
    return model


def expected_rate(model, x, y, constraint, group=None):
    p = 1.0 / (1.0 + np.exp(-model(x).numpy()[:, 0].astype(float)))
    constraints = Constraints.of(constraint)
    table = np.zeros((constraints.groups, 1, 2, 2))
    place = np.zeros(len(y), int) if group is None else group
    np.add.at(table, (place, 0, y, 1), p)
    np.add.at(table, (place, 0, y, 0), 1 - p)
    ((_, excess),) = constraints.worst_of_each(tf.constant(table))
    return float(excess)


@pytest.mark.slow
def test_a_floor_is_kept_that_training_without_it_breaks():
    x, y = toy()
    free = fitted(x, y, "recall>=0.01")  # kept by anything
    bound = fitted(x, y, "recall>=0.85")
    assert expected_rate(free, x, y, "recall>=0.85") > 0.1
    assert abs(expected_rate(bound, x, y, "recall>=0.85")) < 0.03


@pytest.mark.slow
def test_a_gap_between_groups_is_kept():
    x, y = toy()
    group = (x[:, 1] > 0.5).astype(int)
    y = np.where(group == 1, (x[:, 0] + rng.normal(size=len(x)) > 1.5), y).astype(int)
    gap = pgm.at_most("demographic_parity_gap", 0.02, groups=2)
    model = network()
    loss = pgm.PolicyGradientLoss("accuracy", subject_to=gap)
    model.compile(
        keras.optimizers.Adam(0.01), loss=loss, metrics=[pgm.RewardMetric("accuracy", groups=2)]
    )
    y_group = np.column_stack([y, group])
    logs = model.fit(x, y_group, batch_size=64, epochs=40, verbose=0, shuffle=False).history
    free = fitted(x, y, "recall>=0.01", epochs=40)
    assert expected_rate(free, x, y, gap, group) > 0.06
    assert expected_rate(model, x, y, gap, group) < 0.03
    decided = np.mean((model(x).numpy()[:, 0] > 0) == y)
    assert logs["accuracy"][-1] == pytest.approx(decided, abs=0.05)


@pytest.mark.few(1)
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_every_mode_computes_the_same(compiled):
    x, y = toy(256)
    model = fitted(x, y, "precision>=0.8", epochs=1, compiled=compiled)
    eager = network()
    loss = pgm.PolicyGradientLoss("accuracy", subject_to="precision>=0.8")
    optimizer = keras.optimizers.Adam(0.01)
    for start in range(0, 256, 64):
        with tf.GradientTape() as tape:
            value = loss(y[start : start + 64], eager(x[start : start + 64]))
        weights = eager.trainable_variables
        optimizer.apply(tape.gradient(value, weights), weights)
    for one, other in zip(model.loss.variables, loss.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_validation_leaves_the_multipliers_alone():
    loss = pgm.PolicyGradientLoss("accuracy", subject_to="precision>=0.8")
    loss([0, 1], np.zeros((2, 1), "float32"))
    np.testing.assert_array_equal(loss.variables[0], [0.0])


@pytest.mark.slow
def test_a_saved_model_goes_on_with_the_same_multipliers(tmp_path):
    x, y = toy(256)
    model = fitted(x, y, ["precision>=0.8", pgm.at_most("coverage", 0.3)], epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert list(map(str, loaded.loss.subject_to)) == ["precision >= 0.8", "coverage <= 0.3"]
    for each in (model, loaded):
        each.fit(x, y, batch_size=64, epochs=1, verbose=0, shuffle=False)
    for one, other in zip(model.loss.variables, loaded.loss.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_floor_out_of_reach_leaves_finite_weights():
    x = rng.normal(size=(64, 4)).astype("float32")
    y = rng.integers(0, 2, 64)  # nothing to learn
    model = fitted(x, y, ["precision>=1.0", "recall>=1.0"], epochs=60, cross_entropy=1.0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    multipliers = model.loss.variables[0].numpy()
    assert np.all(multipliers <= MOST_MULTIPLIER)


@pytest.mark.parametrize("absent", ["no positives", "weight 0"])
def test_a_group_that_tells_nothing_asks_for_nothing(absent):
    """Its recall is 0 whatever is decided; the other group's must not be drawn there."""
    gap = pgm.at_most("recall_gap", 0.05, groups=2)
    loss, free = (pgm.PolicyGradientLoss("f1", subject_to=s) for s in (gap, None))
    y, group = np.array([0, 1, 1, 0] * 4), np.array([0, 0, 0, 1] * 4)
    weight = np.where(group == 1, 0.0, 1.0) if absent == "weight 0" else None
    z = tf.Variable(rng.normal(size=(16, 1)), dtype=tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        values = loss(np.column_stack([y, group]), z, weight), free(y, z, weight)
    slopes = [tape.gradient(value, z).numpy() for value in values]
    np.testing.assert_array_equal(*slopes)
    np.testing.assert_array_equal(loss.variables[0], [0.0, 0.0])


def test_batches_without_a_group_or_a_class_keep_everything_finite():
    gap = pgm.at_most("recall_gap", 0.05, groups=3)
    loss = pgm.PolicyGradientLoss("f1", subject_to=[gap, "precision>=0.9"])
    z = tf.Variable(rng.normal(size=(8, 1)), dtype=tf.float32)
    for group in (0, 1):
        y = np.column_stack([np.zeros(8, int), np.full(8, group)])
        with tf.GradientTape() as tape:
            value = loss(y, z)
        assert np.isfinite(tape.gradient(value, z)).all()
    assert all(np.isfinite(x).all() for x in loss.variables)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(4, int), "last column"),
        (np.column_stack([[0, 1, 0, 1], [0, 1, 2, 5]]), "groups 0"),
    ],
)
def test_groups_are_checked(y, message):
    gap = pgm.at_most("recall_gap", 0.05, groups=2)
    with pytest.raises(ValueError, match=message):
        pgm.PolicyGradientLoss("f1", subject_to=gap)(y, np.zeros((4, 1), "float32"))


def test_label_columns():
    loss = pgm.PolicyGradientLoss("f1_macro", policy="sigmoid", subject_to="recall_macro>=0.9")
    y, z = rng.integers(0, 2, (16, 3)), tf.Variable(rng.normal(size=(16, 3)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = loss(y, z)
    tape.gradient(value, z)
    p = tf.sigmoid(z).numpy()
    recall = np.mean((y * p).sum(0) / y.sum(0))
    multiplier = ETA * np.clip(0.9 - recall, -MOST_GROWTH, MOST_GROWTH)
    np.testing.assert_allclose(loss.variables[0], [multiplier], rtol=1e-4)


@pytest.mark.slow
def test_a_group_that_is_none_gives_nan_under_xla():
    gap = pgm.at_most("recall_gap", 0.05, groups=2)
    loss = tf.function(pgm.PolicyGradientLoss("accuracy", subject_to=gap), jit_compile=True)
    z = tf.constant([[0.1], [0.2]])
    assert np.isfinite(loss(tf.constant([[1.0, 0.0], [0.0, 1.0]]), z))
    for wrong in (2.0, float("nan")):
        assert np.isnan(loss(tf.constant([[1.0, wrong], [0.0, 1.0]]), z))


def test_one_loss_for_two_outputs_is_refused():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(1)(inputs) for _ in range(2)])
    model.compile("sgd", pgm.PolicyGradientLoss("recall", subject_to="precision>=0.5"))
    with pytest.raises(ValueError, match="two outputs"):
        model.fit(np.zeros((4, 4)), [np.zeros(4), np.ones(4)], verbose=0)


def test_a_rate_of_two_classes_is_refused_for_three():
    loss = pgm.PolicyGradientLoss("accuracy", subject_to="precision>=0.5")
    with pytest.raises(ValueError, match="subject_to does not fit"):
        loss([0, 1, 2], np.zeros((3, 3), "float32"))
