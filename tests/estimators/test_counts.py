"""Exact and second-order expectations of functions of counts, against enumeration and sums."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.core.batch import Batch
from policygrad_metrics.estimators import strongest_estimator
from policygrad_metrics.estimators.poisson_binomial import window

REWARDS = ("matthews_corrcoef", "g_mean", "worst_class_recall")


def problem(N, K, seed=0, scale=1.5, rarest=None):
    rng = np.random.default_rng(seed)
    shares = (
        np.full(K, 1.0 / K) if rarest is None else [*[(1 - rarest) / (K - 1)] * (K - 1), rarest]
    )
    logits = tf.constant(rng.normal(size=(N, K)) * scale, tf.float32)
    return logits, rng.choice(K, N, p=shares).astype(np.int32)


def relative(a, b):
    return np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b)


def gaps(hits, predicted, true):
    """A sum over classes that is no ratio: how far the label frequencies are off, and the hits."""
    return tf.stack([-tf.abs(predicted - true), tf.sqrt(hits)], axis=-1)


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("N", [1, 2, 3, 9])
def test_two_classes_equal_enumeration(name, N):
    reward = pgm.get_reward(name)
    for seed in range(3):
        logits, y_true = problem(N, 2, seed)
        truth = pgm.estimators.Enumerate()(logits, reward, y_true)
        estimate = pgm.estimators.PoissonBinomial()(logits, reward, y_true)
        # 2^9 float32 rewards below 1, each off by 2^-24 or so, weighted by chances.
        np.testing.assert_allclose(estimate.value, truth.value, atol=1e-6)
        np.testing.assert_allclose(estimate.gradient, truth.gradient, atol=1e-6)


def test_a_sum_over_three_classes_equals_enumeration():
    reward = pgm.rewards.ClassCountReward(gaps)
    logits, y_true = problem(5, 3)
    truth = pgm.estimators.Enumerate()(logits, reward, y_true)
    estimate = pgm.estimators.PoissonBinomial()(logits, reward, y_true)
    np.testing.assert_allclose(estimate.value, truth.value, atol=2e-6)
    np.testing.assert_allclose(estimate.gradient, truth.gradient, atol=1e-6)


SCORES = {
    "matthews_corrcoef": lambda h, p, t: (
        (h.sum() * t.sum() - (t * p).sum())
        / np.sqrt((t.sum() ** 2 - (p * p).sum()) * (t.sum() ** 2 - (t * t).sum()))
    ),
    "g_mean": lambda h, p, t: np.exp(np.mean(np.log(h / t))),
    "worst_class_recall": lambda h, p, t: np.min(h / t),
    "f1_macro": lambda h, p, t: np.mean(2 * h / (p + t)),
    "precision_macro": lambda h, p, t: np.mean(h / p),
    "cohen_kappa": lambda h, p, t: 1 - (t.sum() - h.sum()) / (t.sum() - (t * p).sum() / t.sum()),
}


def change_of_each_label(name, y, a, w, K, sites):
    """Score differences in extended precision, `[len(sites), K]`."""
    w = w.astype(np.longdouble)

    def score(labels):
        counts = np.zeros((K, K), np.longdouble)
        np.add.at(counts, (y, labels), w)
        return SCORES[name](counts.diagonal(), counts.sum(0), counts.sum(1))

    changes = np.zeros((len(sites), K))
    for row, i in enumerate(sites):
        for c in range(K):
            labels = a.copy()
            labels[i] = c
            changes[row, c] = score(labels) - score(a)
    return changes


def relabelled(N, K, weighted):
    """Labels of which 7 of 10 are right, with weights over eight orders of magnitude or 1."""
    rng = np.random.default_rng(N + K)
    y = rng.integers(0, K, N).astype(np.int32)
    a = np.where(rng.random(N) < 0.7, y, rng.integers(0, K, N)).astype(np.int32)
    w = np.float32(10 ** rng.uniform(-4, 4, N)) if weighted else np.ones(N, np.float32)
    return y, a, w, rng.choice(N, 30, replace=False)


def effects(name, y, a, w, K, weighted):
    bound = pgm.get_reward(name).bind(Batch(y[:, None], w[:, None], K, weighted))
    return bound.marginal_rewards(a[None, :, None])[0, :, 0]


@functools.cache
def effects_under_xla(N, K, weighted):
    """Of all scores in one program: to start the compiler takes longest."""

    @tf.function(jit_compile=True, autograph=False)
    def run(y, a, w):
        return {name: effects(name, y, a, w, K, weighted) for name in SCORES}

    return run(*map(tf.constant, relabelled(N, K, weighted)[:3]))


@pytest.mark.few(8)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(
    ("N", "K"),
    [
        (257, 2),
        (257, 3),
        *(
            pytest.param(N, K, marks=pytest.mark.slow)
            for N, K in ((257, 17), (4099, 3), (65537, 3))
        ),
    ],
)
def test_what_one_label_changes_is_right_however_many_others_there_are(N, K, name, weighted):
    """Of scores in float32 the difference would be off by N 2^-24 of itself, 4e-3 at 65,537."""
    if weighted and N * K**3 > 2**20:
        pytest.skip("worst-class recall has a budget; sums in float64 are no worse for more")
    y, a, w, sites = relabelled(N, K, weighted)
    expected = change_of_each_label(name, y, a, w, K, sites)
    modes = [effects(name, *map(tf.constant, (y, a, w)), K, weighted)]
    if K > 2:
        modes.append(effects_under_xla(N, K, weighted)[name])
    for found in modes:
        found = found.numpy().astype(float)
        found = (found - found[np.arange(N), a][:, None])[sites]
        # A result is rounded to float32. A ratio's tables are float32 too, kappa's of chances.
        ratios = {"cohen_kappa": 2e-6, "f1_macro": 2e-7}
        assert relative(found, expected) < ratios.get(name, 1e-7)


def test_a_site_that_is_all_the_weight_leaves_nothing_behind():
    """Taken out of a sum in float32, a third leaves 1e-8 and with it a precision of 1."""
    for weight in (1 / 3, 1e-10, 1e10):
        y, a = tf.constant([[1], [0]]), tf.constant([[[1], [0]]])
        w = tf.constant([[weight], [1.0]])
        for name in ("precision", "g_mean", "matthews_corrcoef"):
            bound = pgm.get_reward(name).bind(Batch(y, w, 2, True))
            effects = bound.marginal_rewards(a)[0, :, 0].numpy()
            # Right: 1; nothing called positive: 0. In float64 1 - sum p^2 is 2e-10 to 1e-6 of it.
            assert effects[0, 1] - effects[0, 0] == pytest.approx(1.0, rel=2e-6), (name, weight)


def convolved(chances):
    distribution = np.ones(1)
    for p in chances:
        distribution = np.convolve(distribution, [1 - p, p])
    return distribution


@pytest.mark.parametrize("N", [200, 3000])
def test_large_batches_equal_a_convolution(N):
    """The window leaves out 3e-14 of the chance; N = 3000 has 441 frequencies for 3001 counts."""
    logits, y_true = problem(N, 2, rarest=0.1)
    p = tf.nn.softmax(tf.cast(logits, tf.float64)).numpy()[:, 1]
    true = int(y_true.sum())

    def g_mean(p):
        hits, false = convolved(p[y_true == 1]), convolved(p[y_true == 0])
        a, b = (
            np.sqrt(np.arange(true + 1) / true),
            np.sqrt(1 - np.arange(N - true + 1) / (N - true)),
        )
        return (hits @ a) * (false @ b)

    estimate = pgm.estimators.PoissonBinomial()(logits, pgm.get_reward("g_mean"), y_true)
    # Probabilities are float32, 2^-24 relative.
    np.testing.assert_allclose(estimate.value, g_mean(p), rtol=3e-7)
    gradient = []
    for i in (0, 1, N - 1):
        on, off = p.copy(), p.copy()
        on[i], off[i] = 1.0, 0.0
        gradient.append(p[i] * (1 - p[i]) * (g_mean(on) - g_mean(off)))
    found = estimate.gradient.numpy()[[0, 1, N - 1], 1]
    np.testing.assert_allclose(found, gradient, rtol=2e-6)


def test_the_window_never_ends_on_a_zero_of_a_factor():
    assert all(window(N) % 2 == 1 for N in range(1, 300))
    logits, y_true = tf.zeros([40, 2]), np.arange(40) % 2  # p = 1/2: zero at w = pi
    estimate = pgm.estimators.PoissonBinomial()(logits, pgm.get_reward("matthews_corrcoef"), y_true)
    assert np.isfinite(estimate.gradient).all()


@pytest.mark.slow
def test_modes_agree():
    """With the truth as an argument: of a constant the graph optimiser leaves nothing to do."""
    logits, y_true = problem(40, 2)
    y_true = tf.constant(y_true, tf.int32)
    reward = pgm.get_reward("worst_class_recall")
    estimator = pgm.estimators.PoissonBinomial()
    eager = estimator(logits, reward, y_true).gradient
    for jit in (False, True):

        @tf.function(jit_compile=jit, autograph=False)
        def run(z, y):
            return estimator(z, reward, y).gradient

        np.testing.assert_allclose(run(logits, y_true), eager, atol=1e-6)


def test_auto_takes_the_distribution_where_it_is_cheap():
    reward = pgm.get_reward("worst_class_recall")
    assert isinstance(
        strongest_estimator(reward, 2, unweighted_sites=256), pgm.estimators.PoissonBinomial
    )
    assert isinstance(strongest_estimator(reward, 2), pgm.estimators.LocalExpectation)
    assert isinstance(
        strongest_estimator(reward, 2, unweighted_sites=10**5), pgm.estimators.LocalExpectation
    )
    assert isinstance(
        strongest_estimator(reward, 3, unweighted_sites=256), pgm.estimators.LocalExpectation
    )


def test_a_loss_trains_on_it_and_weights_fall_back():
    logits, y_true = problem(40, 2)
    loss = pgm.PolicyGradientLoss("g_mean", cross_entropy=0.0)
    exact = pgm.estimators.PoissonBinomial()(logits, pgm.get_reward("g_mean"), y_true)
    assert float(loss(y_true, logits)) == pytest.approx(1.0 - float(exact.value), abs=1e-6)
    assert np.isfinite(float(loss(y_true, logits, np.linspace(0.5, 2.0, 40))))


def orders(reward, logits, y_true, truth):
    """Bias of the soft plug-in and of the delta method."""
    bound = reward.bind(
        Batch(tf.constant(y_true[:, None]), tf.ones([len(y_true), 1]), logits.shape[1])
    )
    plug_in = bound.soft_score(tf.nn.softmax(logits)[None, :, None, :])[0]
    second = pgm.estimators.DeltaMethod()(logits, reward, y_true).value
    return abs(float(plug_in - truth)), abs(float(second - truth))


def test_the_delta_method_is_of_second_order():
    """Four times the examples, sixteen times less bias; the first order falls only fourfold."""
    reward, biases = pgm.get_reward("matthews_corrcoef"), []
    for copies in (1, 4):
        logits, y_true = problem(24, 2, seed=1)
        logits, y_true = tf.tile(logits, [copies, 1]), np.tile(y_true, copies)
        truth = pgm.estimators.PoissonBinomial()(logits, reward, y_true).value
        biases.append(orders(reward, logits, y_true, truth))
    (first, second), (first_of_4, second_of_4) = biases
    assert 3.0 < first / first_of_4 < 5.0
    assert 10.0 < second / second_of_4 < 26.0


def test_the_delta_method_with_three_classes():
    reward = pgm.get_reward("matthews_corrcoef")
    logits, y_true = problem(8, 3, scale=0.5)
    first, second = orders(
        reward, logits, y_true, pgm.estimators.Enumerate()(logits, reward, y_true).value
    )
    assert second < first / 2


def cases_without_a_series():
    rng = np.random.default_rng(0)
    rare = np.array([0] * 34 + [1] * 3)
    yield "all labels sure", tf.constant(10.0 * np.eye(2)[rare] * [1, -1], tf.float32), rare
    for K in (2, 3):
        logits = tf.constant(rng.normal(size=(37, K)), tf.float32)
        yield f"one class of {K} in the batch", logits, np.zeros(37, int)
        yield f"never called, K={K}", logits - 9.0 * np.eye(K)[[1]], rng.integers(0, K, 37)
        yield f"always called, K={K}", logits + 30.0 * np.eye(K)[[1]], rng.integers(0, K, 37)
        yield f"called for 0.3 of 3, K={K}", logits - 3.0 * np.eye(K)[[1]], np.arange(37) % 12 % K


@pytest.mark.parametrize("name", ["matthews_corrcoef", "g_mean"])
@pytest.mark.parametrize(
    ("logits", "y_true"), [pytest.param(*rest, id=id) for id, *rest in cases_without_a_series()]
)
@pytest.mark.slow
def test_the_delta_method_is_no_worse_than_the_plug_in_where_its_series_diverges(
    name, logits, y_true
):
    reward, logits = pgm.get_reward(name), tf.cast(logits, tf.float32)
    estimate = pgm.estimators.DeltaMethod()(logits, reward, y_true)
    assert (-1.0 if name == "matthews_corrcoef" else 0.0) <= float(estimate.value) <= 1.0
    assert np.isfinite(estimate.gradient).all()
    if logits.shape[1] == 2:
        truth = pgm.estimators.PoissonBinomial()(logits, reward, y_true).value
        first, second = orders(reward, logits, y_true, truth)
        assert second <= first + 1e-6


@pytest.mark.parametrize(
    "y_true",
    [
        pytest.param([0] * 5 + [1] * 2, id="never called"),
        pytest.param([0] * 7, id="one class", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_the_delta_method_leaves_out_under_xla_what_it_leaves_out_eagerly(y_true):
    reward, y_true = pgm.get_reward("g_mean"), tf.constant(y_true)
    logits = tf.constant([[3.0, -3.0]] * 7)

    def run(logits, y_true):
        estimate = pgm.estimators.DeltaMethod()(logits, reward, y_true)
        return estimate.value, estimate.gradient

    compiled = tf.function(run, jit_compile=True, autograph=False)
    # And where nothing is left out.
    for batch in ((logits, y_true), (0.1 * logits, tf.constant([0, 1, 0, 1, 0, 1, 0]))):
        for a, b in zip(run(*batch), compiled(*batch), strict=True):
            assert np.isfinite(a).all()
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_one_class_batch_leaves_the_loss_finite():
    loss = pgm.PolicyGradientLoss("matthews_corrcoef", gradient_estimator="delta_method")
    assert np.isfinite(float(loss(np.zeros(7, int), tf.zeros([7, 3]))))


@pytest.mark.slow
def test_the_delta_methods_gradient_is_its_values():
    logits, y_true = problem(12, 3)
    reward, weight = pgm.get_reward("matthews_corrcoef"), np.linspace(0.5, 1.5, 12)
    estimator = pgm.estimators.DeltaMethod()
    gradient = estimator(logits, reward, y_true, sample_weight=weight).gradient.numpy()
    step = np.zeros((12, 3), np.float32)
    step[3, 1] = 0.05
    up, down = (
        float(estimator(logits + s, reward, y_true, sample_weight=weight).value)
        for s in (step, -step)
    )
    # A central difference: float32 rounding 2^-23 / 0.1 and a third-order term of 0.05^2.
    assert (up - down) / 0.1 == pytest.approx(gradient[3, 1], abs=1e-4)
    assert abs(gradient[3, 1]) > 2e-3


def test_errors_name_the_way_out():
    logits, y_true = problem(6, 3)
    with pytest.raises(TypeError, match=r"matthews.*delta_method"):
        pgm.estimators.PoissonBinomial()(logits, pgm.get_reward("matthews_corrcoef"), y_true)
    with pytest.raises(TypeError, match=r"f1_macro.*auto"):
        pgm.estimators.DeltaMethod()(logits, pgm.get_reward("f1_macro"), y_true)
    with pytest.raises(ValueError, match=r"K=60.*local_expectation"):
        pgm.estimators.DeltaMethod()(tf.zeros([4, 60]), pgm.get_reward("g_mean"), [0, 1, 2, 59])
    large = tf.function(
        lambda z: (
            pgm.estimators.PoissonBinomial()(
                z, pgm.get_reward("g_mean"), tf.zeros([10**6], tf.int32)
            ).value
        ),
        autograph=False,
    )
    with pytest.raises(ValueError, match=r"1,000,000 sites.*local_expectation"):
        large(tf.zeros([10**6, 2]))
