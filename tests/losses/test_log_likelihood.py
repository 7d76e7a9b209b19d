"""The concentration's log-likelihood, mixed into the loss of a binned regression."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import policygrad_metrics as pgm

DENSITIES = {"normal": stats.norm, "logistic": stats.logistic}


def policies(noise):
    common = {"noise": noise, "center": 60.0, "unit": 40.0}
    yield pgm.policies.BinnedRegression([35.0, 75.0], **common)
    yield pgm.policies.BinnedRegression([35.0, 75.0], scale=25.0, **common)


def some_outputs(policy, B=6):
    rng = np.random.default_rng(0)
    return rng.normal(size=[B, 2 if policy.scale is None else 1]).astype(np.float32)


VALUES = np.array([3.0, 35.0, 60.0, 75.1, 400.0, 994.0], np.float32)


@pytest.mark.parametrize("noise", DENSITIES)
def test_the_density_is_scipys_in_units(noise):
    for policy in policies(noise):
        outputs = some_outputs(policy)
        scale = 25.0
        if policy.scale is None:
            scale = 40.0 * (np.logaddexp(0.0, outputs[:, 1].astype(np.float64)) + 1e-4)
        location = 60.0 + 40.0 * outputs[:, 0].astype(np.float64)
        expected = DENSITIES[noise].logpdf(VALUES, location, scale) + np.log(40.0)
        np.testing.assert_allclose(policy.log_density(VALUES, outputs), expected, rtol=2e-5)


@pytest.mark.parametrize("noise", DENSITIES)
def test_it_agrees_with_the_probabilities_of_narrow_levels(noise):
    """P(level) is about density times width: the two descriptions are of one distribution."""
    policy = pgm.policies.BinnedRegression(
        np.arange(50.0, 70.0, 0.25), noise=noise, center=60.0, unit=40.0, scale=9.0
    )
    outputs = tf.constant([[0.05]])
    middles = np.arange(50.125, 69.5, 0.25)
    log_p = tf.nn.log_softmax(policy.logits(outputs))[0, 1 : 1 + len(middles)]
    density = policy.log_density(middles, tf.repeat(outputs, len(middles), axis=0))
    # Within a level the density bends by less than (0.25 / 9)^2 / 24 of itself.
    np.testing.assert_allclose(density + np.log(0.25 / 40.0), log_p, atol=5e-5)


def test_the_term_in_the_loss_and_its_gradient():
    policy = next(policies("normal"))
    outputs = tf.Variable(some_outputs(policy))
    plain = pgm.PolicyGradientLoss("exact_bin", policy=policy)
    mixed = pgm.PolicyGradientLoss("exact_bin", policy=policy, log_likelihood=0.25)
    with tf.GradientTape(persistent=True) as tape:
        a, b = plain(VALUES, outputs), mixed(VALUES, outputs)
        term = -0.25 * tf.reduce_mean(policy.log_density(VALUES, outputs))
    np.testing.assert_allclose(b - a, term, rtol=1e-5)
    gradient_of = lambda target: tape.gradient(target, outputs).numpy()  # noqa: E731
    np.testing.assert_allclose(gradient_of(b) - gradient_of(a), gradient_of(term), atol=1e-5)
    stateless, _ = mixed.stateless_call(VALUES, outputs, ())
    np.testing.assert_allclose(stateless, b, rtol=1e-6)


def test_weight_zero_is_the_row_removed_and_two_is_the_row_twice():
    policy = next(policies("logistic"))
    outputs = some_outputs(policy, 4)
    loss = pgm.PolicyGradientLoss("exact_bin", policy=policy, log_likelihood=1.0)
    values = np.array([20.0, np.nan, 50.0, 90.0], np.float32)
    weighted = loss(values, outputs, sample_weight=[1.0, 0.0, 2.0, 1.0])
    rows = [0, 2, 2, 3]
    np.testing.assert_allclose(weighted, loss(values[rows], outputs[rows]), rtol=1e-6)


LOGARITHMIC = pgm.policies.BinnedRegression([35.0, 75.0], center=3.6, logarithm=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "missing"),
    [
        pytest.param(next(policies("normal")), [np.nan], marks=pytest.mark.slow),
        (LOGARITHMIC, [np.nan, -1.0, -999.0]),
    ],
)
def test_a_missing_concentration_gives_nan_and_no_gradient_under_xla(policy, missing):
    loss = pgm.PolicyGradientLoss("exact_bin", policy=policy, log_likelihood=1.0)
    outputs = tf.Variable(some_outputs(policy, 2))

    @tf.function(jit_compile=True, autograph=False)
    def step(values):
        with tf.GradientTape() as tape:
            value = loss(values, outputs)
        return value, tape.gradient(value, outputs)

    for value in missing:
        value, gradient = step(tf.constant([50.0, value]))
        assert np.isnan(value)
        np.testing.assert_array_equal(gradient, np.zeros([2, 2]))


@pytest.mark.slow
def test_a_value_without_a_logarithm_is_refused_wherever_a_target_is_read():
    outputs = tf.constant([[0.0, 0.0], [0.0, 0.0]])
    readers = [
        pgm.PolicyGradientLoss("exact_bin", LOGARITHMIC),
        pgm.SurrogateLoss("cross_entropy", LOGARITHMIC),
        pgm.RewardMetric("exact_bin", LOGARITHMIC),
    ]
    for reader in readers:
        graph = tf.function(reader, autograph=False, jit_compile=False)
        for missing in (-1.0, -999.0):
            values = [50.0, missing]
            with pytest.raises(ValueError, match=r"finite values above -1.*-999 for a missing"):
                reader(values, outputs)
            with pytest.raises(tf.errors.InvalidArgumentError, match="finite values above -1"):
                graph(tf.constant(values), outputs)
    # Without a logarithm it is a number like any other, and so is what lies just below zero.
    plain = pgm.policies.BinnedRegression([35.0, 75.0])
    assert np.isfinite(pgm.PolicyGradientLoss("exact_bin", plain)([50.0, -999.0], outputs))
    assert np.isfinite(readers[0]([50.0, -0.9], outputs))


@pytest.mark.parametrize("jit", [False, True])
def test_the_density_of_no_value_is_nan_without_a_gradient(jit):
    @tf.function(autograph=False, jit_compile=jit)
    def density(outputs):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            found = LOGARITHMIC.log_density([20.0, np.nan, -1.0, -999.0, np.inf], outputs)
        return found, tape.gradient(found, outputs)

    found, gradient = density(tf.zeros([5, 2]))
    np.testing.assert_array_equal(np.isfinite(found), [True, False, False, False, False])
    assert np.all(gradient[0] != 0.0)
    np.testing.assert_array_equal(gradient[1:], np.zeros([4, 2]))


def test_a_flag_of_weight_zero_is_the_row_removed():
    loss = pgm.PolicyGradientLoss("exact_bin", LOGARITHMIC, log_likelihood=1.0)
    values, outputs = np.float32([20.0, -999.0, 90.0]), tf.Variable(some_outputs(LOGARITHMIC, 3))
    with tf.GradientTape() as tape:
        weighted = loss(values, outputs, sample_weight=[1.0, 0.0, 1.0])
    gradient = tape.gradient(weighted, outputs).numpy()
    np.testing.assert_allclose(weighted, loss(values[::2], outputs.numpy()[::2]), rtol=1e-6)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], [0.0, 0.0])


@pytest.mark.parametrize("policy", ["auto", "softmax", pgm.policies.CumulativeLink()])
def test_a_policy_without_values_is_refused(policy):
    with pytest.raises(ValueError, match="needs a policy that predicts a value, BinnedRegression"):
        pgm.PolicyGradientLoss("accuracy", policy=policy, log_likelihood=0.1)
    with pytest.raises(ValueError, match="log_likelihood must be a finite number"):
        pgm.PolicyGradientLoss("accuracy", log_likelihood=-0.1)


def test_the_config_keeps_it():
    loss = pgm.PolicyGradientLoss("f1_macro", policy=next(policies("normal")), log_likelihood=0.2)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.log_likelihood == 0.2


@pytest.mark.slow
def test_it_keeps_the_concentration_good():
    """The reward knows levels only; with the likelihood the value within a level is learnt too."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, size=[256, 1]).astype(np.float32)
    truth = 60.0 + 50.0 * x[:, 0] + rng.normal(scale=4.0, size=256).astype(np.float32)
    policy = pgm.policies.BinnedRegression([60.0], center=60.0, unit=40.0)
    errors = {}
    for weight in (0.0, 0.3):
        loss = pgm.PolicyGradientLoss("exact_bin", policy, cross_entropy=0.0, log_likelihood=weight)
        kernel, bias = tf.Variable([[0.2, 0.0]]), tf.Variable([0.0, 0.0])
        optimizer = keras.optimizers.Adam(0.05)
        optimizer.build([kernel, bias])

        @tf.function(autograph=False)
        def step(loss=loss, kernel=kernel, bias=bias, optimizer=optimizer):
            with tf.GradientTape() as tape:
                value = loss(truth, x @ kernel + bias)
            optimizer.apply(tape.gradient(value, [kernel, bias]))

        for _ in range(100):
            step()
        errors[weight] = float(np.abs(policy.location(x @ kernel + bias) - truth).mean())
    # The noise alone has a mean absolute error of 4 sqrt(2 / pi) = 3.2.
    assert errors[0.3] < 5.0 < errors[0.0]
