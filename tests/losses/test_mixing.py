"""Cross-entropy weighted by what the reward sees in each class, against float64 enumeration."""

import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.core.batch import Batch, log_softmax
from policygrad_metrics.core.batch import softmax as own_softmax
from policygrad_metrics.losses.mixing import MOST, cross_entropy, minus_entropy

ROUNDING = 2e-5  # quotients of sums of float32 numbers of relative error 1e-6


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def worth_of_classes(y, p, gradient, weight, K):
    """Site weights by the definition, one label column, in float64."""
    worth, count = np.zeros(K), np.zeros(K)
    for k in range(K):
        rows = np.flatnonzero(y == k)
        count[k] = weight[rows].sum()
        of_accuracy = (weight[rows] * p[rows, k] * (1 - p[rows, k])).sum()
        worth[k] = max(gradient[rows, k].sum(), 0.0) / of_accuracy if len(rows) else 0.0
    worth /= (worth * count).sum() / count.sum()
    worth = np.clip(worth, 1 / MOST, MOST)
    return (worth / ((worth * count).sum() / count.sum()))[y]


def cross_entropy_part(loss, y, z, **weights):
    """What the loss adds to minus the expected reward, for a weight of 1."""
    alone = pgm.PolicyGradientLoss(
        loss.reward, loss.policy, loss.gradient_estimator, cross_entropy=0.0, seed=loss.seed
    )
    return float(loss(y, z, **weights)) - float(alone(y, z, **weights))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["f1_macro", "jaccard_macro", "precision_macro", "g_mean"])
def test_classes_weigh_what_enumeration_says_they_are_worth(name, weighted):
    rng = np.random.default_rng(3)
    y, z = np.array([0, 0, 0, 1, 1, 2]), rng.normal(size=(6, 3)).astype(np.float32)
    weight = rng.uniform(0.5, 2.0, 6).astype(np.float32) if weighted else np.ones(6, np.float32)
    reward = pgm.get_reward(name)
    given = {"sample_weight": weight} if weighted else {}
    gradient = pgm.estimators.Enumerate()(z, reward, y, **given).gradient.numpy().astype(float)
    p = softmax(z.astype(float))
    site = worth_of_classes(y, p, gradient, weight.astype(float), 3)
    assert np.ptp(site) > 0.02  # the classes do differ
    expected = -(weight * site * np.log(p[np.arange(6), y])).sum() / weight.sum()
    loss = pgm.PolicyGradientLoss(
        name, gradient_estimator=pgm.estimators.Enumerate(), cross_entropy=1.0
    )
    assert cross_entropy_part(loss, y, z, **given) == pytest.approx(expected, rel=ROUNDING)


def test_label_columns_are_problems_of_their_own():
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, (5, 2)), rng.normal(size=(5, 2)).astype(np.float32)
    reward = pgm.get_reward("f1_macro").for_multilabel()
    logits = np.stack([np.zeros_like(z), z], -1)
    gradient = pgm.estimators.Enumerate()(logits, reward, y).gradient.numpy().astype(float)
    p = softmax(logits.astype(float))
    # Ten sites of four kinds (column, label), weighed together.
    kinds = (2 * np.arange(2) + y).ravel()
    chosen = (np.arange(5)[:, None], np.arange(2), y)
    spread = np.zeros((10, 4)), np.zeros((10, 4))
    for table, values in zip(spread, (p[chosen], gradient[chosen]), strict=True):
        table[np.arange(10), kinds] = values.ravel()
    site = worth_of_classes(kinds, *spread, np.ones(10), 4)
    expected = -(site * np.log(p[chosen]).ravel()).mean()
    loss = pgm.PolicyGradientLoss("f1_macro", "sigmoid", cross_entropy=1.0)
    assert cross_entropy_part(loss, y, z) == pytest.approx(expected, rel=ROUNDING)


def test_the_best_decision_for_f1_is_at_half_of_f1():
    # Koyejo et al. 2014: predict the positive class above F / 2. A cross-entropy of weights
    # (w0, w1) does so above w0 / (w0 + w1); the two agree up to the batch's own share, 1 / D.
    rng = np.random.default_rng(1)
    z = rng.normal(-1.5, 2.0, size=(20_000, 1)).astype(np.float32)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-z[:, 0]))).astype(np.int32)
    f1 = 1.0 - float(pgm.PolicyGradientLoss("f1", cross_entropy=0.0)(y, z))
    variable = tf.Variable(z)
    loss = {c: pgm.PolicyGradientLoss("f1", cross_entropy=c) for c in (0.0, 1.0)}
    gradients = {}
    for c, each in loss.items():
        with tf.GradientTape() as tape:
            value = each(y, variable)
        gradients[c] = tape.gradient(value, variable).numpy()[:, 0].astype(float)
    of_cross_entropy = (gradients[1.0] - gradients[0.0]) / (1 / (1 + np.exp(-z[:, 0])) - y)
    w0, w1 = of_cross_entropy[y == 0].mean(), of_cross_entropy[y == 1].mean()
    predicted_and_true = y.sum() + (1 / (1 + np.exp(-z))).sum()
    assert w0 / (w0 + w1) == pytest.approx(f1 / 2, abs=2 / predicted_and_true + 1e-4)


def left_over(priors, reward, signal, prices):
    """The share of the reward's gradient that a fit leaves: worths, or hits and prices."""
    rng, K, B = np.random.default_rng(0), len(priors), 1000
    y = rng.choice(K, B, p=priors)
    z = (rng.normal(size=(B, K)) + signal * np.eye(K)[y]).astype(np.float32)
    gradient = (
        pgm.estimators.ExactExpectation()(z, pgm.get_reward(reward), y)
        .gradient.numpy()
        .astype(float)
    )
    p, truth = softmax(z.astype(float)), np.eye(K)[y]
    of_predictions = p[:, :, None] * (np.eye(K) - p[:, None, :])  # [site, logit, class]
    of_hits = of_predictions * truth[:, None, :]
    if prices:
        table = np.concatenate([of_hits, of_predictions], axis=2).reshape(B * K, 2 * K)
        fitted = table @ np.linalg.lstsq(table, gradient.ravel(), rcond=None)[0]
    else:
        worth = (gradient * truth).sum(0) / (of_hits * truth[:, :, None]).sum((0, 1))
        fitted = (of_hits @ worth).ravel()
    return np.linalg.norm(gradient.ravel() - fitted) / np.linalg.norm(gradient)


def test_of_two_classes_the_worths_are_all_that_the_reward_says():
    # What is left is of order 1 / B, of more classes it is not: there prices are wanted too.
    for reward in ("f1", "f1_macro"):
        for signal in (1.0, 4.0):
            assert left_over([0.9, 0.1], reward, signal, prices=False) < 2e-3
    for priors in ([0.7, 0.2, 0.1], [0.5, 0.25, 0.15, 0.07, 0.03]):
        assert 0.03 < left_over(priors, "f1_macro", 1.0, prices=False) < 0.05
        assert 0.19 < left_over(priors, "f1_macro", 4.0, prices=False) < 0.25
        assert left_over(priors, "f1_macro", 4.0, prices=True) < 2e-3
    assert 0.005 < left_over([1 / 3] * 3, "f1_macro", 1.0, prices=False) < 0.01


def test_the_worth_is_the_least_squares_fit_over_labels_of_the_policy():
    rng = np.random.default_rng(5)
    y, z = np.array([0, 0, 0, 1, 1, 2, 2]), rng.normal(size=(7, 3)).astype(np.float32)
    reward, p = pgm.get_reward("f1_macro"), softmax(z.astype(float))
    gradient = pgm.estimators.Enumerate()(z, reward, y).gradient.numpy().astype(float)
    effects = gradient / p  # Q of each label, less the mean of the policy
    for k in range(3):
        rows = y == k
        right = np.eye(3)[k] - p[rows, k, None]  # [a = k], less its mean
        chance = p[rows]
        slope = (chance * right * effects[rows]).sum() / (chance * right**2).sum()
        worth = gradient[rows, k].sum() / (p[rows, k] * (1.0 - p[rows, k])).sum()
        assert worth == pytest.approx(slope, rel=ROUNDING)


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_where_a_worth_is_cut_the_decision_lies_above_half_of_f1(jit):
    # 1 % positives that are hardly found: F1 is about .01, and 2 / (.01 + .01) times the mean.
    rng = np.random.default_rng(0)
    z = rng.normal(-4.6, 0.1, size=(20_000, 1)).astype(np.float32)
    y = (rng.random(20_000) < 0.01).astype(np.int32)
    p = 1.0 / (1.0 + np.exp(-z[:, 0].astype(float)))
    loss = pgm.PolicyGradientLoss("f1", cross_entropy=1.0)
    alone = pgm.PolicyGradientLoss("f1", cross_entropy=0.0)

    @tf.function(autograph=False, jit_compile=jit)
    def of_cross_entropy(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(y, z) - alone(y, z)
        return tape.gradient(value, z)

    weights = 20_000 * of_cross_entropy(tf.constant(z)).numpy()[:, 0].astype(float) / (p - y)
    w0, w1 = weights[y == 0].mean(), weights[y == 1].mean()
    F, share = 1.0 - float(alone(y, z)), y.mean()
    uncut = np.array([F, 2.0 - F]) / (F * (1 - share) + (2.0 - F) * share)
    assert uncut[1] > MOST
    # Cut to 20 and brought to mean one again; the batch's own share of F1 is 1 / (2 N share).
    expected = np.array([uncut[0], MOST]) / (uncut[0] * (1 - share) + MOST * share)
    assert [w0, w1] == pytest.approx(expected, rel=0.01)
    assert w0 / (w0 + w1) > 3.0 * F / 2.0


@pytest.mark.parametrize(
    ("reward", "settings"),
    [
        ("accuracy", {}),
        ("cohen_kappa_quadratic", {}),
        ("f1_macro", {"gradient_estimator": "reinforce"}),
        ("f1_macro", {"cross_entropy_weights": "equal"}),
    ],
)
def test_where_classes_have_no_worth_of_their_own_they_weigh_alike(reward, settings):
    rng = np.random.default_rng(0)
    y, z = np.array([0, 0, 0, 1, 1, 2]), rng.normal(size=(6, 3)).astype(np.float32)
    plain = -np.log(softmax(z.astype(float))[np.arange(6), y]).mean()
    loss = pgm.PolicyGradientLoss(reward, cross_entropy=1.0, **settings)
    assert cross_entropy_part(loss, y, z) == pytest.approx(plain, rel=ROUNDING)


def test_a_batch_without_a_gradient_weighs_its_sites_alike():
    z = np.full((4, 1), -200.0, np.float32)  # all but certainly negative: no gradient is left
    for y, plain in (([0, 0, 0, 0], 0.0), ([1, 1, 1, 1], 200.0)):
        loss = pgm.PolicyGradientLoss("f1", cross_entropy=1.0)
        assert cross_entropy_part(loss, np.array(y), z) == pytest.approx(plain, rel=1e-6, abs=1e-6)


def test_weights_are_constants_to_the_gradient_and_the_same_in_every_mode():
    rng = np.random.default_rng(2)
    y, z = rng.integers(0, 3, 32), tf.constant(rng.normal(size=(32, 3)), tf.float32)
    loss = pgm.PolicyGradientLoss("f1_macro", cross_entropy=1.0)
    gradients = []
    calls = lambda z: loss(y, z), lambda z: loss.stateless_call(y, z, ())[0]
    for call, modes in zip(calls, ((None, True), (None, False)), strict=True):
        for jit in modes:

            def gradient(z, call=call):
                with tf.GradientTape() as tape:
                    tape.watch(z)
                    value = call(z)
                return tape.gradient(value, z)

            if jit is not None:
                gradient = tf.function(gradient, jit_compile=jit, autograph=False)
            gradients.append(gradient(z).numpy())
    for other in gradients[1:]:
        np.testing.assert_allclose(other, gradients[0], rtol=1e-5, atol=1e-8)
    # -log p has gradient p - 1 at the right label: what remains of it is the site's weight.
    with tf.GradientTape() as tape:
        tape.watch(z)
        alone = pgm.PolicyGradientLoss("f1_macro", cross_entropy=0.0)(y, z)
    part = (gradients[0] - tape.gradient(alone, z).numpy())[np.arange(32), y]
    weights = 32 * part / (softmax(z.numpy().astype(float))[np.arange(32), y] - 1)
    assert weights.mean() == pytest.approx(1.0, rel=1e-4)
    for k in range(3):
        np.testing.assert_allclose(weights[y == k], weights[y == k][0], rtol=1e-3)


def test_unknown_weights_are_refused_with_the_nearest_known():
    with pytest.raises(ValueError, match=r"cross_entropy_weights='rewards'.*'reward'"):
        pgm.PolicyGradientLoss("f1", cross_entropy_weights="rewards")


def a_batch(columns=1, K=3, weighted=False, scale=3.0):
    rng = np.random.default_rng(columns)
    shape = (7, columns)
    weight = rng.uniform(0.0, 2.0, shape) if weighted else np.ones(shape)
    return Batch(
        y_true=tf.constant(rng.integers(0, 2, shape), tf.int32),
        weight=tf.constant(weight, tf.float32),
        num_classes=K,
        weighted=weighted,
        logits=tf.constant(scale * rng.normal(size=(*shape, K)), tf.float32),
    )


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [1, 4])
def test_gradients_are_those_of_tensorflow(columns, weighted, answered):
    batch = a_batch(columns, weighted=weighted)
    site_weights = tf.linspace(0.5, 2.0, 7)[:, None]
    share = batch.weight / tf.reduce_sum(batch.weight)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(batch.logits)
        log_p = tf.nn.log_softmax(batch.logits[..., :-1] if answered else batch.logits)
        right = tf.gather(log_p, batch.y_true, batch_dims=2)
        expected = [
            -tf.reduce_sum(share * site_weights * right),
            tf.reduce_sum(share[..., None] * tf.exp(log_p) * log_p),
        ]
    found = [cross_entropy(batch, site_weights, answered), minus_entropy(batch, answered)]
    for own, value in zip(found, expected, strict=True):
        # Sums of at most 28 numbers of order one, each rounded a few times.
        np.testing.assert_allclose(own.value, value, rtol=1e-5)
        np.testing.assert_allclose(own.gradient, tape.gradient(value, batch.logits), atol=2e-6)
        assert np.abs(own.gradient).max() > 1e-3


def test_probabilities_keep_their_precision_far_from_one_another():
    logits = tf.constant([[0.0, 0.0], [70.0, -10.0], [-3e38, 3e38]])
    np.testing.assert_array_equal(own_softmax(logits)[0], [0.5, 0.5])
    assert float(own_softmax(logits)[1, 1]) == pytest.approx(np.exp(-80.0), rel=1e-6, abs=0)
    np.testing.assert_array_equal(own_softmax(logits)[2], [0.0, 1.0])
    np.testing.assert_allclose(log_softmax(logits)[1], [0.0, -80.0], rtol=1e-7)
    np.testing.assert_allclose(own_softmax(logits)[1], tf.nn.softmax(logits)[1], rtol=1e-5)
