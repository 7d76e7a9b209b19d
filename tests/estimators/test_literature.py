"""The literature's estimators: unbiased by enumeration, or with their bias measured."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, all_label_sets, blackbox, chances, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.core.batch import canonical_batch
from policygrad_metrics.estimators.literature import LITERATURE
from policygrad_metrics.estimators.literature.antithetic import antithetic_labels
from policygrad_metrics.estimators.literature.gumbel import perturbed_logits

REWARDS = [
    pytest.param(pgm.get_reward("f1_macro"), 3, id="f1_macro"),
    pytest.param(pgm.get_reward("matthews_corrcoef"), 2, id="matthews"),
    pytest.param(pgm.get_reward("worst_class_recall"), 3, id="worst_class_recall"),
    pytest.param(pgm.get_reward("cohen_kappa_quadratic"), 3, id="quadratic_kappa"),
    pytest.param(pgm.rewards.BlackBox(blackbox), 2, id="black-box"),
]


def weighted_sum(weights, estimator, logits, reward, y_true, samples):
    """The sum of weights times the estimates from `samples`, in float64."""

    @tf.function(autograph=False)  # traced once: of pairs there are many
    def estimate(labels):
        found = estimator.from_samples(logits, reward, y_true, labels)
        return found.value, found.gradient

    found = [estimate(tf.constant(labels)) for labels in samples]
    values, gradients = (np.array(part, np.float64) for part in zip(*found, strict=True))
    return weights @ values, np.einsum("s,snk->nk", weights, gradients)


def assert_is_the_truth(found, reward, logits, y_true):
    value, gradient = slow_truth(reward, logits, y_true)
    scale = max(1.0, float(np.abs(gradient).max()))
    np.testing.assert_allclose(found[0], value, rtol=1e-6, atol=TOLERANCE)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-5, atol=TOLERANCE * scale)


def is_black_box(reward):
    return isinstance(reward, pgm.rewards.BlackBox)


@pytest.mark.few(7)
@pytest.mark.parametrize(("reward", "K"), REWARDS)
@pytest.mark.parametrize(
    ("name", "samples"), [("coma", 1), ("difference_rewards", 1), ("muprop", 1), ("muprop", 2)]
)
def test_independent_samples_are_unbiased(name, samples, reward, K):
    if is_black_box(reward):
        pytest.skip("its errors are tested below")
    logits, y_true = problem((2,), K)
    labels = all_label_sets((2,), K)
    chance = chances(logits, labels)
    estimator = pgm.estimators.get_estimator(name, samples=samples)
    tuples = np.array(list(itertools.product(range(len(labels)), repeat=samples)))
    weights = chance[tuples].prod(axis=1)
    found = weighted_sum(weights, estimator, logits, reward, y_true, labels[tuples])
    assert_is_the_truth(found, reward, logits, y_true)


def antithetic_cells(p):
    """Where the pair (label of u, label of 1 - u) is constant: lengths and midpoints."""
    edges = np.unique(np.concatenate([[0.0, 1.0], np.cumsum(p)[:-1], 1.0 - np.cumsum(p)[:-1]]))
    return np.diff(edges), (edges[1:] + edges[:-1]) / 2


@pytest.mark.few(6)
@pytest.mark.parametrize(("reward", "K"), REWARDS)
@pytest.mark.parametrize("name", ["antithetic", "disarm"])
def test_antithetic_pairs_are_unbiased(name, reward, K):
    if name == "disarm":
        K = 2
    logits, y_true = problem((2,), K)
    probs = tf.nn.softmax(tf.cast(logits, tf.float64)).numpy()
    lengths, middles = zip(*(antithetic_cells(p) for p in probs), strict=True)
    uniform = np.array(list(itertools.product(*middles)), np.float32)[:, None, :, None]
    weights = np.array([np.prod(w) for w in itertools.product(*lengths)])
    policy = tf.nn.softmax(logits)[:, None, :]
    pairs = [antithetic_labels(policy, tf.constant(u)).numpy()[..., 0] for u in uniform]
    estimator = pgm.estimators.get_estimator(name, samples=2)
    found = weighted_sum(weights, estimator, logits, reward, y_true, pairs)
    assert_is_the_truth(found, reward, logits, y_true)
    # Two pairs: the baseline is the other pair's.
    if K == 2:
        both = np.array(list(itertools.product(range(len(pairs)), repeat=2)))
        estimator = pgm.estimators.get_estimator(name, samples=4)
        sets = [np.stack([pairs[i][0], pairs[j][0], pairs[i][1], pairs[j][1]]) for i, j in both]
        chance = weights[both].prod(axis=1)
        found = weighted_sum(chance, estimator, logits, reward, y_true, sets)
        assert_is_the_truth(found, reward, logits, y_true)


def relative_bias(name, reward, logits, y_true):
    """|E[gradient] - truth| / |truth|, by enumeration."""
    labels = all_label_sets(y_true.shape, logits.shape[-1])
    estimator = pgm.estimators.get_estimator(name, samples=1)
    chance = chances(logits, labels)
    found = weighted_sum(chance, estimator, logits, reward, y_true, labels[:, None])
    _, gradient = slow_truth(reward, logits, y_true)
    return np.linalg.norm(found[1] - gradient) / np.linalg.norm(gradient)


def test_straight_through_is_biased_and_less_so_in_larger_batches():
    f1, accuracy = pgm.get_reward("f1_macro"), pgm.get_reward("accuracy")
    small, large = (relative_bias("straight_through", f1, *problem((n,), 2)) for n in (2, 6))
    assert 0.1 < small < 0.5
    assert 100 * TOLERANCE < large < small / 2  # a flip and its slope differ by O(1/B)
    # Where the reward is linear in the labels a slope is a flip.
    assert relative_bias("straight_through", accuracy, *problem((4,), 2)) < TOLERANCE


@pytest.mark.parametrize("name", sorted(LITERATURE))
def test_same_seed_same_gradient_and_docstrings_tell_the_cost(name):
    estimator, reward = pgm.estimators.get_estimator(name), pgm.get_reward("f1")
    logits, y_true = problem((6,), 2)
    if estimator.ranks:
        logits, reward = logits[:, 1], pgm.get_reward("ndcg@3")
    first, second, other = (estimator(logits, reward, y_true, seed=s).gradient for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert estimator.stochastic != np.allclose(first, other, atol=1e-5)
    text = " ".join(estimator.__doc__.split())
    assert "Cost: " in text
    assert ("Biased: " in text) != estimator.unbiased


def test_errors_name_the_way_out():
    logits, y_true = problem((3,), 3)
    f1, box = pgm.get_reward("f1_macro"), pgm.rewards.BlackBox(blackbox)
    with pytest.raises(TypeError, match=r"two classes; there are K=3.*antithetic"):
        pgm.estimators.get_estimator("disarm")(logits, f1, y_true, seed=0)
    for name in ("coma", "difference_rewards"):
        with pytest.raises(TypeError, match=r"black box 'blackbox'.*reinforce"):
            pgm.estimators.get_estimator(name)(logits, box, y_true, seed=0)
    for name in ("muprop", "straight_through"):
        with pytest.raises(TypeError, match=r"soft labels.*'blackbox'.*relax"):
            pgm.estimators.get_estimator(name)(logits, box, y_true, seed=0)
    with pytest.raises(ValueError, match="multiple of 2; it is 3"):
        pgm.estimators.get_estimator("antithetic", samples=3)
    with pytest.raises(ValueError, match="did you mean 'antithetic'"):
        pgm.estimators.get_estimator("antithetics")


def without_replacement(chance, chosen):
    """P(the set is drawn), by summing over the orders."""
    return sum(
        np.prod([chance[s] / (1.0 - chance[list(order[:i])].sum()) for i, s in enumerate(order)])
        for order in itertools.permutations(chosen)
    )


@pytest.mark.few(6)
@pytest.mark.parametrize(("reward", "K"), REWARDS)
@pytest.mark.parametrize("samples", [2, 3])
def test_unordered_set_is_unbiased(reward, K, samples):
    logits, y_true = problem((2,), K)
    labels = all_label_sets((2,), K)
    chance = chances(logits, labels)
    chance /= chance.sum()  # the float32 log-probabilities are off by 1e-7
    sets = list(itertools.combinations(range(len(labels)), samples))
    weights = np.array([without_replacement(chance, chosen) for chosen in sets])
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    estimator = pgm.estimators.get_estimator("unordered_set", samples=samples)
    found = weighted_sum(weights, estimator, logits, reward, y_true, labels[np.array(sets)])
    assert_is_the_truth(found, reward, logits, y_true)


def test_unordered_set_of_everything_is_the_truth():
    logits, y_true = problem((2,), 2)
    f1 = pgm.get_reward("f1")
    estimate = pgm.estimators.get_estimator("unordered_set", samples=4)(logits, f1, y_true, seed=3)
    found = (estimate.value.numpy(), estimate.gradient.numpy())
    assert_is_the_truth(found, f1, logits, y_true)


@pytest.mark.slow
def test_unordered_set_draws_without_replacement():
    """The share of seeds that draw a set is its chance: chi-squared below its 1e-4 quantile."""
    logits, y_true = problem((2,), 2)
    labels = all_label_sets((2,), 2)
    chance = chances(logits, labels)
    estimator = pgm.estimators.get_estimator("unordered_set", samples=2)
    case = estimator.problem(canonical_batch(logits, y_true, None, False), pgm.get_reward("f1"))
    draw = tf.function(lambda seed: estimator.draw(case, seed), autograph=False)
    seeds = 2000
    places = [
        tuple(sorted(draw(tf.constant([s, 0])).numpy()[..., 0] @ [2, 1])) for s in range(seeds)
    ]
    expected = {
        chosen: seeds * without_replacement(chance, chosen)
        for chosen in itertools.combinations(range(4), 2)
    }
    squares = sum((places.count(c) - e) ** 2 / e for c, e in expected.items())
    assert squares < 25.7  # 5 degrees of freedom


def gauss_uniforms(dimensions, nodes):
    """Nodes in (0, 1)^dimensions and weights; the logistic map tames the ends."""
    x, w = np.polynomial.hermite.hermgauss(nodes)
    x, w = x * 2.0, w * 2.0 * np.exp(x**2)
    u = 1.0 / (1.0 + np.exp(-x))
    points = np.array(list(itertools.product(u, repeat=dimensions)))
    weights = itertools.product(w * u * (1 - u), repeat=dimensions)
    return points, np.array([np.prod(one) for one in weights])


def integrated(estimator, reward, logits, y_true, nodes, state):
    """E[value], E[gradient] of a relaxed estimator: labels enumerated, uniforms integrated."""
    labels = all_label_sets(y_true.shape, logits.shape[-1])
    chance = chances(logits, labels)
    points, weights = gauss_uniforms(int(np.prod(logits.shape)), nodes)
    uniform = tf.constant(points.reshape(1, -1, len(y_true), 1, logits.shape[-1]), tf.float32)
    uniform = tf.repeat(uniform, estimator.noises, axis=0)
    case = estimator.problem(canonical_batch(logits, y_true, None, False), reward)
    value, gradient = 0.0, 0.0
    for p, one in zip(chance, labels, strict=True):
        many = tf.constant(np.broadcast_to(one[None, :, None], [len(points), *one.shape, 1]))
        values, gradients = estimator.terms(case, tf.cast(many, tf.int32), uniform, state)
        value += p * float(weights @ values.numpy().astype(np.float64))
        gradient += p * np.einsum("s,snck->nk", weights, gradients.numpy().astype(np.float64))
    return value, gradient


#: Sites, K, nodes in each of the uniforms' dimensions.
INTEGRALS = [((1,), 2, 40), ((1,), 3, 16), ((2,), 2, 14)]


#: To a black box 38,416 nodes are as many calls.
LEARNED = [
    pytest.param(name, *case, marks=pytest.mark.slow if case == slow else ())
    for slow in INTEGRALS[-1:]
    for name in ("rebar", "relax", "relax-black-box")
    for case in INTEGRALS
]


@pytest.mark.parametrize(("name", "sites", "K", "nodes"), LEARNED)
def test_learned_control_variates_are_unbiased_whatever_they_have_learned(name, sites, K, nodes):
    reward = pgm.get_reward("f1_macro")
    if name == "relax-black-box":
        reward = pgm.rewards.BlackBox(lambda y, a: float((y == a).mean() ** 1.5 + 0.1 * a[0]))
    estimator = pgm.estimators.get_estimator(name.split("-")[0])
    logits, y_true = problem(sites, K, 1)
    first, *rest = estimator.initial_state()
    learned = first + np.random.default_rng(0).normal(size=first.shape).astype(np.float32)
    found = integrated(estimator, reward, logits, y_true, nodes, (learned, *rest))
    truth = slow_truth(reward, logits, y_true)
    # The rule's own error, seen in the integral of 1, on integrands of up to two units.
    tolerance = 2 * abs(gauss_uniforms(int(np.prod(logits.shape)), nodes)[1].sum() - 1)
    np.testing.assert_allclose(found[0], truth[0], atol=tolerance + TOLERANCE)
    np.testing.assert_allclose(found[1], truth[1], atol=tolerance + TOLERANCE)
    assert tolerance < 0.05 * np.abs(truth[1]).max()


@pytest.mark.parametrize(("sites", "K", "nodes"), INTEGRALS)
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("gumbel_softmax", 0.1, 0.4), ("rao_blackwell_straight_through", 0.02, 0.3)],
)
def test_relaxed_gradients_are_biased(name, low, high, sites, K, nodes):
    logits, y_true = problem(sites, K, 1)
    f1 = pgm.get_reward("f1_macro")
    arguments = (
        {"relaxations": 1} if "relaxations" in dir(pgm.estimators.get_estimator(name)) else {}
    )
    estimator = pgm.estimators.get_estimator(name, **arguments)
    _, gradient = integrated(estimator, f1, logits, y_true, nodes, ())
    _, truth = slow_truth(f1, logits, y_true)
    assert low < np.linalg.norm(gradient - truth) / np.linalg.norm(truth) < high


def test_perturbed_logits_have_the_label_on_top_and_the_right_derivative():
    logits, _ = problem((3,), 4)
    log_p = tf.nn.log_softmax(logits)[:, None, :]
    chosen = tf.one_hot(tf.constant([[[1], [0], [3]]]), 4)
    uniform = tf.constant(np.random.default_rng(0).random((1, 3, 1, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(log_p)
        z, derivative = perturbed_logits(tf.exp(log_p), chosen, uniform)
        total = tf.reduce_sum(z)
    np.testing.assert_array_equal(tf.argmax(z, -1), tf.argmax(chosen, -1))
    np.testing.assert_allclose(tape.gradient(total, log_p), derivative[0], rtol=1e-5, atol=1e-7)


def test_more_relaxations_keep_the_mean_and_lower_the_variance():
    logits, y_true = problem((8,), 3)
    f1, S = pgm.get_reward("f1_macro"), 4096

    def moments(relaxations):
        estimator = pgm.estimators.get_estimator(
            "rao_blackwell_straight_through", samples=S, relaxations=relaxations
        )
        case = estimator.problem(canonical_batch(logits, y_true, None, False), f1)
        _, gradients = estimator.terms(case, *estimator.noise(case, relaxations), ())
        return tf.reduce_mean(gradients, 0), tf.math.reduce_variance(gradients, 0)

    (one, spread), (ten, narrow) = moments(1), moments(10)
    assert float(tf.reduce_sum(narrow)) < 0.9 * float(tf.reduce_sum(spread))
    error = tf.sqrt((spread + narrow) / S)
    assert float(tf.reduce_max(tf.abs(one - ten) / error)) < 4.5


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_control_variates_learn(name):
    """The toy of the papers, E[(b - 0.499)^2]: the variance falls below REINFORCE's."""
    toy = pgm.rewards.RatioReward(
        lambda y, w, K: (tf.constant([[0.499**2, 0.501**2]]), tf.zeros([1, 2]), 0.0, 1.0)
    )
    logits, y_true = tf.zeros([1, 2]), [0]
    estimator = pgm.estimators.get_estimator(name, samples=64, learning_rate=0.1)

    @tf.function(autograph=False)
    def step(seed, state):
        return estimator(logits, toy, y_true, seed=seed, state=state).state

    state = tuple(tf.constant(x, tf.float32) for x in estimator.initial_state())
    for i in range(200):
        state = step(tf.constant([i, 0]), state)
    case = estimator.problem(canonical_batch(logits, y_true, None, False), toy)
    many = pgm.estimators.get_estimator(name, samples=8192)
    _, gradients = many.terms(case, *many.noise(case, 9), state)
    # REINFORCE: R = 0.249 or 0.251, the score is 1/2: variance 0.25^2 / 4.
    assert float(tf.math.reduce_variance(gradients[:, 0, 0, 1])) < 0.75 * 0.0625 / 4


def test_errors_of_the_sampled_sets():
    logits, y_true = problem((40,), 3)
    f1 = pgm.get_reward("f1_macro")
    with pytest.raises(ValueError, match=r"3\^40 label sets.*leave-one-out.*reinforce"):
        pgm.estimators.get_estimator("unordered_set")(logits, f1, y_true, seed=0)
    with pytest.raises(ValueError, match=r"at most the 3 label sets.*enumerate"):
        pgm.estimators.get_estimator("unordered_set")(logits[:1], f1, y_true[:1], seed=0)
    with pytest.raises(TypeError, match=r"soft labels.*relax"):
        pgm.estimators.get_estimator("rebar")(
            logits, pgm.rewards.BlackBox(blackbox), y_true, seed=0
        )
    with pytest.raises(ValueError, match="temperature must be"):
        pgm.estimators.get_estimator("gumbel_softmax", temperature=0.0)
    with pytest.raises(ValueError, match="relaxations must be"):
        pgm.estimators.get_estimator("rao_blackwell_straight_through", relaxations=0)


def test_uniforms_are_below_one_whatever_the_bits(monkeypatch):
    from policygrad_metrics.core import draws

    for bits, expected in ((2**32 - 1, 1.0 - 2.0**-24), (0, 2.0**-25)):
        monkeypatch.setattr(draws, "_bits", lambda *_, b=bits: tf.constant([b], tf.uint32))
        assert draws.uniforms(0, [1]).numpy() == [expected]
    chosen = tf.one_hot([[0]], 2)[:, None]
    top = tf.constant([[[[1.0 - 2.0**-24, 0.5]]]])
    z, derivative = perturbed_logits(tf.constant([[[0.5, 0.5]]]), chosen, top)
    assert np.isfinite(z.numpy()).all()
    assert np.isfinite(derivative.numpy()).all()


def test_soft_plug_in_is_the_soft_f1_loss_and_its_bias_falls_with_the_batch():
    from policygrad_metrics.surrogates import soft_f1

    logits, y_true = problem((9,), 3)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = soft_f1(logits[:, None], y_true[:, None], tf.ones([9, 1]))
    f1 = pgm.get_reward("f1_macro")
    estimate = pgm.estimators.get_estimator("soft_plug_in")(logits, f1, y_true)
    np.testing.assert_allclose(estimate.value, 1.0 - loss, atol=TOLERANCE)
    np.testing.assert_allclose(estimate.gradient, -tape.gradient(loss, logits), atol=TOLERANCE)

    def bias(sites):
        logits = tf.constant(np.random.default_rng(0).normal(size=(sites, 2)), tf.float32)
        y_true = np.arange(sites) % 2
        exact, soft = (
            pgm.estimators.get_estimator(name)(logits, f1, y_true).gradient.numpy()
            for name in ("exact", "soft_plug_in")
        )
        return np.linalg.norm(soft - exact) / np.linalg.norm(exact)

    small, large = bias(16), bias(1024)
    assert 0.003 < small < 0.2
    # O(1/B), with a factor of four to spare for other logits.
    assert small / 64 / 4 < large < small / 64 * 4
