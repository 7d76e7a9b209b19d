"""Binned regression on air-quality standards: edges, training on the level, saving, re-scoring."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics import aqi

EVERY_COLUMN = [
    pytest.param(scale, pollutant, id=f"{scale}-{pollutant}")
    for scale in aqi.scales()
    for pollutant in aqi.get_scale(scale).pollutants
]


def around(number, steps=4):
    """The float32 numbers nearest to `number`, some below it and some above."""
    below = above = np.float32(number)
    found = [below]
    for _ in range(steps):
        below = np.nextafter(below, np.float32(-np.inf))
        above = np.nextafter(above, np.float32(np.inf))
        found += [below, above]
    return found


@pytest.mark.parametrize(("scale", "pollutant"), EVERY_COLUMN)
def test_levels_are_those_of_the_standard(scale, pollutant):
    """On random values, on every value in the standard's own digits, and right at the edges."""
    policy = pgm.policies.BinnedRegression.for_scale(scale, pollutant)
    column = aqi.get_scale(scale).column(pollutant)
    edges, thresholds = aqi.edges(scale, pollutant), aqi.thresholds(scale, pollutant)
    top = 1.5 * edges[-1]
    digits = 1 if column.decimals is None else column.decimals
    printed = np.round(np.arange(0, 3000) * 10.0**-digits, digits)
    values = np.concatenate(
        [
            np.random.default_rng(0).uniform(0, top, 5000),
            np.concatenate([around(t) for t in (*edges, *thresholds)]),
            printed[printed <= top],
        ]
    ).astype(np.float32)
    levels = policy.level_of(values).numpy()
    np.testing.assert_array_equal(levels, aqi.level(values, scale, pollutant))
    assert set(levels) == set(range(len(aqi.names(scale, pollutant))))


def test_the_edges_of_the_question():
    """Steps at 15.45 and 35.45; a US value is truncated, so 12.04 is good and 12.1 is not."""
    taiwan = pgm.policies.BinnedRegression.for_scale("taiwan")
    np.testing.assert_allclose(taiwan.edges, [15.45, 35.45, 54.45, 150.45, 250.45], rtol=2e-7)
    us = pgm.policies.BinnedRegression.for_scale("us_epa_2012")
    np.testing.assert_array_equal(
        us.level_of(np.array([12.0, 12.04, 12.1, 35.4, 35.5])), [0, 0, 1, 1, 2]
    )


def test_an_output_of_minus_one_means_zero_and_the_defaults_can_be_replaced():
    policy = pgm.policies.BinnedRegression.for_scale("us_epa_2024")
    np.testing.assert_allclose(policy.location(tf.constant([[-1.0, 0.0]])), [0.0], atol=1e-5)
    own = pgm.policies.BinnedRegression.for_scale(
        "korea", "pm10", noise="logistic", noise_scale=7.0, center=50.0, unit=30.0
    )
    assert (own.noise, own.scale, own.center, own.unit) == ("logistic", 7.0, 50.0, 30.0)
    assert own.layout(tf.zeros([1, 1])).num_classes == 4


def test_configs_round_trip():
    policy = pgm.policies.BinnedRegression.for_scale("india", noise="logistic")
    assert pgm.policies.get_policy(policy.get_config()) == policy
    assert policy.standard == "india/pm25"


def test_a_scale_of_your_own():
    column = aqi.Column("pm25", "ug/m3", "1 h", (20.0, 60.0))
    scale = dataclasses.replace(
        aqi.get_scale("eaqi"), key="mine", names=("a", "b", "c"), columns=(column,)
    )
    policy = pgm.policies.BinnedRegression.for_scale(scale)
    assert (policy.edges, policy.standard) == ((20.0, 60.0), "mine/pm25")


def test_bad_names():
    with pytest.raises(ValueError, match="did you mean 'taiwan'"):
        pgm.policies.BinnedRegression.for_scale("tawian")
    with pytest.raises(ValueError, match="did you mean 'pm25'"):
        pgm.policies.BinnedRegression.for_scale("taiwan", "pm2.5")
    with pytest.raises(ValueError, match="did you mean 'korea'"):
        pgm.policies.BinnedRegression.for_scale("taiwan").on_scale("corea")
    with pytest.raises(ValueError, match="standard must be text"):
        pgm.policies.BinnedRegression([1.0], standard=aqi.get_scale("taiwan"))  # pyright: ignore


# ---------------------------------------------------------------- the question of MISSION A1

STEPS = (15.45, 35.45)


def synthetic_hours(N=512, seed=0):
    """Weather-like features and positively skewed concentrations, about a third in each level."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    log_pm25 = 3.1 + 0.5 * x[:, 0] - 0.4 * x[:, 1] * x[:, 2] + 0.2 * rng.normal(size=N)
    return x, np.exp(log_pm25).astype(np.float32)


def regressor(outputs, seed=0):
    layers = [keras.layers.Input((4,))]
    for size, activation in ((16, "tanh"), (outputs, None)):
        start = keras.initializers.GlorotUniform(seed=(seed := seed + 1))
        layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
    return keras.Sequential(layers)


def hard_step_by_comparison(values):
    return tf.add_n([tf.cast(values > step, tf.float32) for step in STEPS])


def hard_step_by_sign(values):
    return tf.add_n([(tf.sign(values - step) + 1.0) / 2.0 for step in STEPS])


def hard_loss(step):
    return lambda y_true, y_pred: tf.abs(step(tf.reshape(y_true, [-1, 1])) - step(y_pred))


def gradients(model, loss, x, y):
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(loss(y, model(x)))
    return value.numpy(), tape.gradient(value, model.trainable_variables)


def test_the_hard_step_has_no_gradient():
    x, y = synthetic_hours()
    model = regressor(1)
    value, by_comparison = gradients(model, hard_loss(hard_step_by_comparison), x, y)
    assert value > 0.5  # there is something to learn
    assert by_comparison == [None] * len(model.trainable_variables)
    same_value, by_sign = gradients(model, hard_loss(hard_step_by_sign), x, y)
    assert same_value == value
    assert all(np.all(g.numpy() == 0.0) for g in by_sign)


def test_the_hard_step_moves_no_weight():
    x, y = synthetic_hours()
    model = regressor(1)
    before = [w.copy() for w in model.get_weights()]
    model.compile(keras.optimizers.Adam(0.03), loss=hard_loss(hard_step_by_sign), jit_compile=False)
    model.fit(x, y, batch_size=128, epochs=2, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outputs", "noise_scale", "cross_entropy"),
    [pytest.param(2, None, 0.3, marks=pytest.mark.slow), (1, 5.0, 0.0)],
    ids=["learned-noise-mixed", "fixed-noise-reward-alone"],
)
def test_the_policy_gradient_trains_the_level(outputs, noise_scale, cross_entropy):
    """The reward alone has a gradient for every weight, and training finds the right level.

    With the reward alone a learned noise shrinks until the policy is a hard step again, so there
    it is fixed; the mixed-in cross-entropy keeps it up.
    """
    x, y = synthetic_hours()
    policy = pgm.policies.BinnedRegression.for_scale("taiwan", noise_scale=noise_scale)
    model = regressor(outputs)
    reward_alone = pgm.PolicyGradientLoss("exact_bin", policy=policy, cross_entropy=0.0)
    _, found = gradients(model, reward_alone, x, y)
    assert all(np.abs(g.numpy()).max() > 1e-4 for g in found)

    before = [w.copy() for w in model.get_weights()]
    model.compile(
        keras.optimizers.Adam(0.03),
        loss=pgm.PolicyGradientLoss("exact_bin", policy=policy, cross_entropy=cross_entropy),
        metrics=[pgm.RewardMetric("exact_bin", policy)],
        jit_compile=False,
    )
    history = model.fit(x, y, batch_size=128, epochs=40, verbose=0).history
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.abs(old - new).max() > 1e-2
    assert np.bincount(policy.level_of(y).numpy()).max() / len(y) < 0.5  # the commonest level
    assert history["exact_bin"][-1] > 0.7


def test_saved_and_loaded_models_predict_the_same_levels_and_concentrations(tmp_path):
    x, y = synthetic_hours()
    model = regressor(2)
    policy = pgm.policies.BinnedRegression.for_scale("us_epa_2024", noise="logistic")
    model.compile("adam", loss=pgm.PolicyGradientLoss("f1_macro", policy=policy), run_eagerly=True)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.policy == policy
    outputs, again = (m.predict(x, verbose=0) for m in (model, loaded))
    np.testing.assert_array_equal(loaded.loss.policy.predict(again), policy.predict(outputs))
    np.testing.assert_array_equal(loaded.loss.policy.location(again), policy.location(outputs))


def test_one_network_on_another_standards_levels():
    policy = pgm.policies.BinnedRegression.for_scale("taiwan", noise_scale=0.5)
    concentrations = np.array([3.0, 14.0, 20.0, 40.0, 90.0, 300.0], np.float32)
    outputs = ((concentrations - policy.center) / policy.unit)[:, None]
    for scale in aqi.scales():
        other = policy.on_scale(scale)
        np.testing.assert_allclose(other.location(outputs), concentrations, rtol=1e-5)
        # The noise is small beside the distance to every edge: the decision is the value's level.
        np.testing.assert_array_equal(other.predict(outputs), aqi.level(concentrations, scale))
        assert other.standard == f"{scale}/pm25"


LOADING = """
import sys
import keras, numpy as np
import policygrad_metrics as pgm

model = pgm.load_model(sys.argv[1])
outputs = model.predict(np.load(sys.argv[2]), verbose=0)
policy = model.loss.policy
other = policy.on_scale("korea")
np.savez(
    sys.argv[3], levels=policy.predict(outputs), value=policy.location(outputs),
    edges=policy.edges, standard=policy.standard, korea=other.predict(outputs),
)
"""


@pytest.mark.slow
def test_a_saved_model_carries_its_scale_into_another_process(tmp_path):
    """Scale, edges and noise are saved; other levels need no training; the value is the same."""
    x, y = synthetic_hours()
    model = regressor(2)
    policy = pgm.policies.BinnedRegression.for_scale("taiwan", logarithm=True)
    loss = pgm.PolicyGradientLoss("exact_bin", policy=policy, log_likelihood=0.3)
    model.compile("adam", loss=loss, run_eagerly=True)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("model.keras", "x.npy", "found.npz")]
    subprocess.run([sys.executable, "-c", LOADING, *files], check=True, capture_output=True)
    found = np.load(tmp_path / "found.npz")
    outputs = model.predict(x, verbose=0)
    assert str(found["standard"]) == "taiwan/pm25"
    np.testing.assert_array_equal(found["edges"], policy.edges)
    np.testing.assert_array_equal(found["levels"], policy.predict(outputs))
    np.testing.assert_array_equal(found["korea"], policy.on_scale("korea").predict(outputs))
    np.testing.assert_allclose(found["value"], policy.location(outputs), rtol=1e-6)


#: Levels of Taiwan: taking a hazardous hour for a better one costs most.
COSTS = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
COSTS[5, :5] *= 10.0


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "reward",
    [
        "exact_bin",
        "within_1",
        "mean_level_error",
        "f1_macro",
        "quadratic_kappa",
        pgm.rewards.cost_matrix(COSTS.tolist()),
    ],
    ids=str,
)
def test_every_reward_of_levels_moves_the_location(reward):
    """A step along the gradient raises the expected reward, by about its squared length."""
    concentrations = np.array([10.0, 14.0, 30.0, 44.0, 60.0, 200.0, 260.0, 400.0], np.float32)
    policy = pgm.policies.BinnedRegression.for_scale("taiwan", logarithm=True)
    start = policy.outputs_at(1.5 * concentrations)[:, None].numpy()
    outputs = tf.Variable(np.hstack([start, np.zeros_like(start)]))
    loss = pgm.PolicyGradientLoss(reward, policy=policy, cross_entropy=0.0)
    with tf.GradientTape() as tape:
        before = loss(concentrations, outputs)
    gradient = tape.gradient(before, outputs)
    length = float(tf.norm(gradient[:, 0]))
    assert length > 1e-3
    step = 1e-3 / float(tf.norm(gradient))
    after = loss(concentrations, outputs - step * gradient)
    gain, expected = float(before - after), 1e-3 * float(tf.norm(gradient))
    assert gain == pytest.approx(expected, rel=0.1, abs=4e-7 * max(1.0, abs(float(before))))
