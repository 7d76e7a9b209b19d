"""Label sets used again: what it saves, that its first step is unbiased, and its bias after."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, blackbox, expected_estimate, problem, slow_truth

import policygrad_metrics as pgm


class Counted:
    __name__ = "counted"

    def __init__(self):
        self.calls = 0

    def __call__(self, y_true, y_pred, sample_weight=None):
        self.calls += 1
        return float(np.average(y_true == y_pred, weights=sample_weight))


def test_the_first_step_is_unbiased():
    reward = pgm.rewards.BlackBox(blackbox)
    logits, y_true = problem((2,), 3)
    value, gradient = slow_truth(reward, logits, y_true)
    estimator = pgm.estimators.ReusedSamples(samples=2)
    mean_value, mean_gradient = expected_estimate(estimator, logits, reward, y_true, 2)
    np.testing.assert_allclose(mean_value, value, rtol=1e-6, atol=TOLERANCE)
    np.testing.assert_allclose(mean_gradient, gradient, rtol=1e-5, atol=2 * TOLERANCE)


def test_evaluates_every_kth_step_of_a_batch_and_every_other_batch():
    metric = Counted()
    reward, estimator = (
        pgm.rewards.BlackBox(metric),
        pgm.estimators.ReusedSamples(samples=4, reuse=3),
    )
    logits, y_true = problem((6,), 3)
    state, calls = estimator.initial_state(), []
    for step in range(7):
        state = estimator(logits, reward, y_true, seed=step, state=state).state
        calls.append(metric.calls)
    assert calls == [4, 4, 4, 8, 8, 8, 12]
    for other, weight in ((1 - y_true // 2, None), (y_true[:5], None), (y_true, np.arange(6.0))):
        before = metric.calls
        estimator(logits[: len(other)], reward, other, sample_weight=weight, seed=0, state=state)
        assert metric.calls == before + 4


@pytest.mark.few(1)
@pytest.mark.parametrize("jit", [None, False, True])
def test_another_batch_of_the_same_truth_is_evaluated_anew(jit):
    logits, y_true = problem((6,), 3)
    reward, estimator = pgm.get_reward("f1_macro"), pgm.estimators.ReusedSamples(samples=4)
    logits += 2.0 * tf.one_hot(y_true, 3)

    def call(logits, seed, state):
        estimate = estimator(logits, reward, y_true, seed=seed, state=state)
        return estimate.gradient, estimate.state

    step = call if jit is None else tf.function(call, autograph=False, jit_compile=jit)
    _, state = step(logits, tf.constant([1, 0]), ())
    if not jit:  # states of other sizes than the batch's, as at the start, are no graph of XLA's
        start = tuple(tf.constant(x) for x in estimator.initial_state())
        for got, wanted in zip(step(logits, tf.constant([1, 0]), start)[1], state, strict=True):
            np.testing.assert_array_equal(got, wanted)
    probs = tf.nn.softmax(logits).numpy()
    for distance, reused in ((0.49, True), (0.51, False)):
        # One site moves: so much probability goes from its likeliest label to the next.
        moved = probs.copy()
        likely, other = np.argsort(-probs[2])[:2]
        moved[2, likely] -= distance
        moved[2, other] += distance
        assert moved.min() > 0.0
        gradient, after = step(tf.math.log(moved), tf.constant([2, 0]), state)
        fresh_gradient, fresh = step(tf.math.log(moved), tf.constant([2, 0]), ())
        expected = state if reused else fresh
        for got, wanted in zip(after[:5], expected[:5], strict=True):
            np.testing.assert_array_equal(got, wanted)
        assert float(after[5]) == (2.0 if reused else 1.0)
        assert np.allclose(gradient, fresh_gradient, atol=TOLERANCE) != reused


def test_equals_leave_one_out_while_the_policy_stands_still():
    logits, y_true = problem((6,), 3)
    reward, estimator = pgm.get_reward("f1_macro"), pgm.estimators.ReusedSamples(samples=4)
    first = estimator(logits, reward, y_true, seed=1)
    again = estimator(logits, reward, y_true, seed=2, state=first.state)
    plain = pgm.estimators.Reinforce(samples=4)(logits, reward, y_true, seed=1)
    for estimate in (first, again):
        np.testing.assert_allclose(estimate.gradient, plain.gradient, atol=TOLERANCE)
        np.testing.assert_allclose(estimate.value, plain.value, atol=TOLERANCE)


def test_is_the_gradient_of_the_clipped_objective():
    logits, y_true = problem((8,), 3)
    reward, estimator = (
        pgm.get_reward("f1_macro"),
        pgm.estimators.ReusedSamples(samples=5, clip=0.1),
    )
    state = estimator(logits, reward, y_true, seed=1).state
    _, _, old, sets, rewards, _ = state
    moved = tf.Variable(
        logits + 0.3 * tf.constant(np.random.default_rng(1).normal(size=(8, 3)), tf.float32)
    )
    got = estimator(moved, reward, y_true, seed=2, state=state).gradient
    advantage = ((rewards - tf.reduce_mean(rewards)) * 5 / 4)[:, None]
    with tf.GradientTape() as tape:
        chosen = tf.one_hot(tf.cast(sets[..., 0], tf.int32), 3)
        before = tf.reduce_sum(chosen * old[:, 0], axis=-1)
        ratio = tf.reduce_sum(chosen * tf.nn.softmax(moved), axis=-1) / before
        clipped = tf.clip_by_value(ratio, 0.9, 1.1)
        objective = tf.reduce_sum(tf.minimum(ratio * advantage, clipped * advantage)) / 5
    expected = tape.gradient(objective, moved)
    assert float(tf.reduce_mean(tf.cast(ratio == clipped, tf.float32))) < 0.9  # some are clipped
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.slow
def test_the_bias_grows_with_the_distance_between_policies():
    logits, y_true = problem((24,), 2)
    reward, estimator = pgm.get_reward("f1"), pgm.estimators.ReusedSamples(samples=2048)
    uphill = pgm.estimators.ExactExpectation()(logits, reward, y_true).gradient

    def bias(step):
        moved = logits + step * uphill
        truth = pgm.estimators.ExactExpectation()(moved, reward, y_true).gradient

        @tf.function(autograph=False)
        def again(seed):
            state = estimator(logits, reward, y_true, seed=seed).state
            return estimator(moved, reward, y_true, seed=seed, state=state).gradient

        mean = np.mean([again(tf.constant([s, 0])).numpy() for s in range(8)], axis=0)
        return float(np.linalg.norm(mean - truth) / np.linalg.norm(truth))

    # 8 * 2048 label sets leave some per cent of noise in the mean.
    near, far = bias(0.0), bias(60.0)
    assert near < 0.12
    assert far > 3 * near


@pytest.mark.few(1)
@pytest.mark.parametrize("eager", [False, True])
def test_full_batch_training(eager):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 3)).astype(np.float32)
    y = np.argmax(x + 0.2 * rng.normal(size=x.shape), axis=1)
    metric = Counted()
    start = keras.initializers.GlorotUniform(seed=0)
    model = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(3, kernel_initializer=start)]
    )
    loss = pgm.PolicyGradientLoss(
        pgm.rewards.BlackBox(metric),
        gradient_estimator=pgm.estimators.ReusedSamples(8, reuse=4),
        cross_entropy=0.0,
    )
    model.compile(keras.optimizers.Adam(0.05), loss=loss, run_eagerly=eager, jit_compile=False)
    options = {"batch_size": 96, "shuffle": False, "verbose": 0, "sample_weight": np.ones(96)}
    history = model.fit(x, y, epochs=20, **options).history["loss"]
    assert metric.calls == 8 * 20 // 4
    assert history[-1] < history[0]


def test_round_trips_and_errors():
    estimator = pgm.estimators.ReusedSamples(8, 2, 0.3)
    loss = pgm.PolicyGradientLoss("f1", gradient_estimator=estimator)
    assert pgm.PolicyGradientLoss.from_config(loss.get_config()).gradient_estimator == estimator
    with pytest.raises(ValueError, match="samples must be"):
        pgm.estimators.ReusedSamples(1)
    with pytest.raises(ValueError, match="reuse must be"):
        pgm.estimators.ReusedSamples(reuse=0)
    with pytest.raises(ValueError, match="clip must be"):
        pgm.estimators.ReusedSamples(clip=0.0)
