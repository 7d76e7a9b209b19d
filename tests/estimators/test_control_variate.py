"""The control variate: unbiased by enumeration, and no worse than leave-one-out."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, all_label_sets, blackbox, chances, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.estimators import control_variate
from policygrad_metrics.training.replicas import _loss_state

BOX = pgm.rewards.BlackBox(blackbox)


def weighted_box(y_true, y_pred, sample_weight):
    return float((sample_weight * (y_true == y_pred)).sum() ** 1.5)


def expected(estimator, samples, state=(), reward=BOX, weight=None, seed=0):
    """E[estimate] over all tuples of label sets, and the truth."""
    logits, y_true = problem((2,), 2, seed)
    labels = all_label_sets(y_true.shape, 2)
    chance = chances(logits, labels)

    @tf.function(autograph=False)
    def run(chosen):
        estimate = estimator.from_samples(
            logits, reward, y_true, chosen, sample_weight=weight, state=state
        )
        return estimate.value, estimate.gradient

    value, gradient = 0.0, 0.0
    for chosen in itertools.product(range(len(labels)), repeat=samples):
        p = np.prod(chance[list(chosen)])
        one = run(tf.constant(labels[list(chosen)]))
        value = value + p * one[0].numpy().astype(np.float64)
        gradient = gradient + p * one[1].numpy().astype(np.float64)
    return (value, gradient), slow_truth(reward, logits, y_true, weight)


#: What a few steps of one proxy may have taught: gram, cross, total, count.
TAUGHT = (np.array([[0.5]], np.float32), np.array([0.2], np.float32), 1.0, 30.0)
#: The same for two proxies and two wrong cells.
TAUGHT_MORE = (
    np.array([[0.5, 0.2, 0.0], [0.2, 0.4, -0.1], [0.0, -0.1, 0.3]], np.float32),
    np.array([0.2, -0.3, 0.1], np.float32),
    1.0,
    30.0,
)

CASES = {
    "this step": (pgm.estimators.ControlVariate("accuracy", decay=0.0), 4, ()),
    "past and this step": (pgm.estimators.ControlVariate("accuracy"), 3, TAUGHT),
    "pairs": (pgm.estimators.ControlVariate("f1", samples=2), 2, TAUGHT),
    "fixed": (pgm.estimators.ControlVariate("f1_macro", coefficient=1.7), 2, ()),
    "two fixed": (
        pgm.estimators.ControlVariate(("f1", "accuracy"), coefficient=(1.7, -0.5)),
        2,
        (),
    ),
    "named and learned": (pgm.estimators.ControlVariate(("f1", "learned")), 3, TAUGHT_MORE),
    "learned": (pgm.estimators.ControlVariate(), 4, ()),
}


@pytest.fixture
def trusting(monkeypatch):
    """Coefficients are fitted to however few samples, so that few must be enumerated."""
    monkeypatch.setattr(control_variate, "SPARE", -3.0)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", CASES)
def test_unbiased(name, trusting):
    estimator, samples, state = CASES[name]
    (value, gradient), (true_value, true_gradient) = expected(estimator, samples, state)
    np.testing.assert_allclose(value, true_value, atol=2 * TOLERANCE)
    np.testing.assert_allclose(gradient, true_gradient, atol=2 * TOLERANCE)


@pytest.mark.slow
def test_unbiased_with_weights(trusting):
    reward, weight = pgm.rewards.BlackBox(weighted_box), [0.5, 2.0]
    for proxy in ("f1", "learned"):
        estimator = pgm.estimators.ControlVariate(proxy, decay=0.0)
        (value, gradient), truth = expected(estimator, 4, (), reward, weight)
        np.testing.assert_allclose(value, truth[0], atol=2 * TOLERANCE)
        np.testing.assert_allclose(gradient, truth[1], atol=2 * TOLERANCE)


def test_the_proof_catches_a_coefficient_fitted_on_its_own_sample(trusting):
    class OwnSample(pgm.estimators.ControlVariate):
        def _coefficients(self, rewards, values, state):
            everybody = control_variate._Moments.of_samples(rewards, values)
            return everybody.coefficients() + 0.0 * values, ()

    (_, gradient), (_, truth) = expected(OwnSample("accuracy", decay=0.0), 4)
    assert np.abs(gradient - truth).max() > 1000 * TOLERANCE


def test_coefficients_are_least_squares_without_their_own_sample():
    """The closed form of leaving a sample out against leaving it out."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(12, 2)).astype(np.float32)
    rewards = (values @ [2.0, -1.0] + 0.01 * rng.normal(size=12)).astype(np.float32)
    estimator = pgm.estimators.ControlVariate(("accuracy", "f1"))
    got, state = estimator._coefficients(tf.constant(rewards), tf.constant(values), ())
    for s in range(12):
        others = np.arange(12) != s
        d = values[others] - values[others].mean(0)
        fit = np.linalg.lstsq(d, rewards[others], rcond=None)[0]
        # A ridge of a thousandth moves them by about that much.
        np.testing.assert_allclose(got[s], fit, rtol=5e-3)
    assert float(state[3]) == 11.0
    _, state = estimator._coefficients(tf.constant(rewards), tf.constant(values), state)
    assert float(state[3]) == pytest.approx(0.95 * 11.0 + 11.0)


def test_of_others_equals_leaving_out():
    rng = np.random.default_rng(1)
    values, rewards = rng.normal(size=(6, 3)), rng.normal(size=6)
    values, rewards = values.astype(np.float32), rewards.astype(np.float32)
    moments = control_variate._Moments
    got = moments.of_others(tf.constant(rewards), tf.constant(values))
    for s in range(6):
        others = np.arange(6) != s
        alone = moments.of_samples(rewards[others], values[others])
        for a, b in zip(got.state(), alone.state(), strict=True):
            a = np.asarray(a)
            np.testing.assert_allclose(a[s] if a.ndim > np.ndim(b) else a, b, atol=5e-6)


def variances(reward, estimators, K=3, N=64, seeds=64):
    """Trace of the covariance of the gradient, once coefficients have settled."""
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(size=(N, K)), tf.float32)
    y_true = np.arange(N) % K
    found = []
    for estimator in estimators:

        def step(key, state, estimator=estimator):
            estimate = estimator(logits, reward, y_true, seed=key, state=state)
            return estimate.gradient, estimate.state

        state, gradients = tuple(tf.constant(x) for x in estimator.initial_state()), []
        step = tf.function(step, reduce_retracing=True, autograph=False)
        for s in range(seeds + 8):
            gradient, state = step(tf.constant([s, 0]), state)
            gradients.append(gradient.numpy())
        found.append(np.var(gradients[8:], axis=0, ddof=1).sum())
    return found


@pytest.mark.slow
def test_less_variance_where_the_proxy_resembles_and_no_more_where_it_does_not():
    def rounded(y_true, y_pred):
        return round(float((y_true == y_pred).mean()), 2)

    def parity(y_true, y_pred):  # of no proxy's kind
        return float(y_pred.sum() % 2)

    loo, named, learned = (
        pgm.estimators.Reinforce(16),
        pgm.estimators.ControlVariate("accuracy"),
        pgm.estimators.ControlVariate(("accuracy", "learned")),
    )
    base, with_named, with_learned = variances(pgm.rewards.BlackBox(rounded), (loo, named, learned))
    assert with_named < base / 20
    assert with_learned < base / 15
    base, with_named = variances(pgm.rewards.BlackBox(parity), (loo, named))
    # Estimates from 64 draws of 192 numbers: each variance is known to a few per cent.
    assert with_named < 1.15 * base


@pytest.mark.few(1)
@pytest.mark.parametrize("jit", [False, True])
def test_a_graph_equals_eager(jit):
    logits, y_true = problem((40,), 3)
    reward = pgm.get_reward("f1_weighted")  # a black box cannot be compiled
    estimator = pgm.estimators.ControlVariate(("f1_macro", "accuracy"))

    def run(state):
        estimate = estimator(logits, reward, y_true, seed=3, state=state)
        return estimate.value, estimate.gradient, *estimate.state

    start = tuple(tf.constant(x) for x in estimator.initial_state())
    compiled = tf.function(run, jit_compile=jit, autograph=False)
    for a, b in zip(run(start), compiled(start), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
def hits(y_true, weight, num_classes):
    chosen = tf.one_hot(y_true, num_classes) * weight[:, None]
    return chosen, 0.0 * chosen, 0.0, tf.reduce_sum(weight)


def network():
    start = keras.initializers.GlorotUniform(seed=0)
    return keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(3, kernel_initializer=start)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("eager", [pytest.param(False, marks=pytest.mark.slow), True])
def test_fit_with_weights_and_validation(eager):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 3)).astype(np.float32)
    y = np.argmax(x + 0.2 * rng.normal(size=x.shape), axis=1)
    weight = rng.gamma(2.0, size=128)

    def metric(y_true, y_pred, sample_weight=None):
        return round(float(np.average(y_true == y_pred, weights=sample_weight)), 2)

    trained = []
    for validation in (None, (x, y)):
        estimator = pgm.estimators.ControlVariate(("accuracy", "learned"), samples=8)
        loss = pgm.PolicyGradientLoss(metric, gradient_estimator=estimator, cross_entropy=0.0)
        model = network()
        model.compile(keras.optimizers.Adam(0.05), loss=loss, run_eagerly=eager, jit_compile=False)
        model.fit(
            x, y, sample_weight=weight, batch_size=64, epochs=2 if eager else 6, shuffle=False,
            validation_data=validation, verbose=0,
        )  # fmt: skip
        trained.append(model.get_weights())
        assert loss.variables[0].shape.as_list() == [None, None]
        assert loss.variables[0].numpy().shape == (7, 7)
        assert float(loss.variables[3]) > 8.0
    # Validation is not learned from.
    for a, b in zip(*trained, strict=True):
        np.testing.assert_array_equal(a, b)


def test_multilabel():
    rng = np.random.default_rng(0)
    y, outputs = rng.integers(0, 2, (30, 4)), rng.normal(size=(30, 4)).astype(np.float32)
    box = pgm.rewards.BlackBox(lambda y_true, y_pred: float((y_true == y_pred).all(axis=1).mean()))
    for proxy in ("hamming", ("f1_micro", "learned")):
        loss = pgm.PolicyGradientLoss(
            box,
            policy="sigmoid",
            gradient_estimator=pgm.estimators.ControlVariate(proxy),
            cross_entropy=0.0,
        )
        assert 0.0 < float(loss(y, outputs)) < 1.0


def test_round_trips():
    named = pgm.estimators.ControlVariate(("f1_macro", "learned"), samples=8, decay=0.5)
    own = pgm.estimators.ControlVariate(pgm.rewards.RatioReward(hits), coefficient=0.5)
    gains = pgm.estimators.ControlVariate(
        (pgm.rewards.GainMatrix([[1, 0], [0, 2]]), "accuracy"), coefficient=(1, 2.0)
    )
    for estimator in (named, own, gains, pgm.estimators.ControlVariate()):
        loss = pgm.PolicyGradientLoss("accuracy", gradient_estimator=estimator)
        again = pgm.PolicyGradientLoss.from_config(loss.get_config())
        assert again.gradient_estimator == estimator
        assert hash(again.gradient_estimator) == hash(estimator)
    saved = keras.saving.serialize_keras_object(
        pgm.PolicyGradientLoss("f1", gradient_estimator=gains)
    )
    assert keras.saving.deserialize_keras_object(saved).gradient_estimator == gains


def test_errors_name_the_way_out():
    logits, y_true = problem((3,), 3)
    with pytest.raises(ValueError, match="did you mean 'f1_macro'"):
        pgm.estimators.ControlVariate("f1_macr")
    with pytest.raises(ValueError, match="samples must be"):
        pgm.estimators.ControlVariate("f1", samples=1)
    with pytest.raises(ValueError, match="decay must lie"):
        pgm.estimators.ControlVariate("f1", decay=1.0)
    for proxy, coefficient in (("learned", 1.0), ("f1", "fit"), (("f1", "accuracy"), 1.0)):
        with pytest.raises(ValueError, match='coefficient must be "fitted"'):
            pgm.estimators.ControlVariate(proxy, coefficient=coefficient)
    opaque = pgm.estimators.ControlVariate(pgm.rewards.BlackBox(blackbox, label="mine"))
    with pytest.raises(TypeError, match=r"proxy 'mine'.*\"f1_macro\".*learned"):
        opaque(logits, BOX, y_true, seed=0)
    with pytest.raises(ValueError, match=r"up to 16 classes; there are 20.*f1_macro"):
        pgm.estimators.ControlVariate()(tf.zeros([3, 20]), BOX, y_true, seed=0)
    with pytest.raises(ValueError, match="needs seed="):
        pgm.estimators.ControlVariate("f1_macro")(logits, BOX, y_true)


def test_a_proxy_that_never_moves_costs_nothing():
    """A class that nobody can be labelled leaves the proxy constant: plain leave-one-out."""
    logits = tf.constant([[40.0, 0.0, 0.0], [0.0, 0.0, -40.0], [0.0, 0.5, -40.0]])
    y_true = np.array([0, 1, 2])
    only = pgm.rewards.FBeta(average="macro", labels=(2,))
    got = pgm.estimators.ControlVariate(only, samples=12)(logits, BOX, y_true, seed=1)
    plain = pgm.estimators.Reinforce(12)(logits, BOX, y_true, seed=1)
    np.testing.assert_allclose(got.gradient, plain.gradient, atol=TOLERANCE)
    np.testing.assert_allclose(got.value, plain.value, atol=TOLERANCE)


def test_replicas_need_named_proxies():
    """A program of many replicas keeps states of fixed sizes in a loop."""
    outputs, policy = tf.zeros([1, 3]), pgm.policies.Softmax()

    def state_of(estimator):
        return _loss_state(
            pgm.PolicyGradientLoss("f1_macro", gradient_estimator=estimator), policy, outputs
        )

    assert [np.shape(x) for x in state_of(pgm.estimators.ControlVariate("accuracy"))] == [
        (1, 1),
        (1,),
        (),
        (),
    ]
    for estimator in (pgm.estimators.ControlVariate("learned"), pgm.estimators.ReusedSamples()):
        with pytest.raises(ValueError, match=r"size the first batch decides.*name the proxies"):
            state_of(estimator)
