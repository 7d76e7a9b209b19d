"""Estimators against enumeration: unbiased means equal, not close in a million samples."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, blackbox, expected_estimate, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.core import draws
from policygrad_metrics.core.batch import Batch
from policygrad_metrics.core.draws import MOST_PAIRS, latin_uniforms
from policygrad_metrics.estimators import ESTIMATORS, Reinforce, strongest_estimator
from policygrad_metrics.rewards import REWARDS


def cases():
    """(reward, N sites shape, K) for every named reward where scikit-learn defines it."""
    for name in REWARDS:
        for K, sites in ((2, (3,)), (3, (3,)), (2, (2, 2))):
            multilabel = len(sites) == 2
            reward = dataclasses.replace(pgm.get_reward(name), multilabel=multilabel)
            try:
                reward(np.zeros(sites, int), np.zeros(sites, int), num_classes=K)
            except ValueError:
                continue
            yield pytest.param(reward, sites, K, id=f"{name}-{K}-{'x'.join(map(str, sites))}")
    yield pytest.param(pgm.rewards.BlackBox(blackbox), (3,), 3, id="black-box")


CASES = list(cases())
WEIGHTS = {(3,): [0.5, 2.0, 1.25], (2, 2): [0.5, 2.0]}


def is_further(reward, sites, K):
    """Of what is defined for three classes, two are a further case; so is another beta."""
    two = (sites, K) == ((3,), 2) and getattr(reward, "average", "") != "binary"
    return two or reward.name.startswith("f2")


@pytest.mark.few(42)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("reward", "sites", "K"),
    [
        pytest.param(*c.values, id=c.id, marks=pytest.mark.slow if is_further(*c.values) else ())
        for c in CASES
    ],
)
def test_enumerate_and_exact_equal_autodiff_over_all_label_sets(reward, sites, K, weighted, seed):
    weight = WEIGHTS[sites] if weighted else None
    if weighted and isinstance(reward, pgm.rewards.BlackBox):
        pytest.skip("this black box takes no weights")
    logits, y_true = problem(sites, K, seed)
    value, gradient = slow_truth(reward, logits, y_true, weight)
    columns = sites[-1] if reward.multilabel else 1
    strongest = strongest_estimator(reward, K, multilabel_columns=columns)
    exact = isinstance(strongest, pgm.estimators.ExactExpectation)
    for name in ("enumerate", "exact") if exact else ("enumerate",):
        estimator = pgm.estimators.get_estimator(name)
        estimate = estimator(logits, reward, y_true, sample_weight=weight)
        np.testing.assert_allclose(estimate.value, value, rtol=1e-6, atol=TOLERANCE)
        np.testing.assert_allclose(estimate.gradient, gradient, rtol=1e-5, atol=TOLERANCE)


REINFORCE = [
    *((pgm.estimators.Reinforce(samples=1, baseline=name), 1) for name in ("none", "greedy")),
    (pgm.estimators.Reinforce(samples=1, baseline="moving_average"), 1),
    (pgm.estimators.Reinforce(samples=2), 2),
]
LOCAL = [(pgm.estimators.LocalExpectation(samples=1), 1)]
#: To REINFORCE a reward is a number for each label set: of the named ones a few are enough.
FEW = ("accuracy-3", "f1_macro-3-3", "f1_samples", "cohen_kappa_quadratic-3", "g_mean-3", "black")


def sampling_cases():
    for case in CASES:
        marks = pytest.mark.slow if is_further(*case.values) else ()
        if not isinstance(case.values[0], pgm.rewards.BlackBox):
            yield pytest.param(*case.values, LOCAL, id=f"local-{case.id}", marks=marks)
        marks = () if case.id.startswith(FEW) else pytest.mark.slow
        yield pytest.param(*case.values, REINFORCE, id=f"reinforce-{case.id}", marks=marks)


@pytest.mark.few(24)
@pytest.mark.parametrize(("reward", "sites", "K", "estimators"), list(sampling_cases()))
def test_sampling_estimators_are_unbiased(reward, sites, K, estimators):
    # Pairs of label sets of three 3-class sites would be 729 calls: two sites prove as much.
    small = (1, 2) if reward.multilabel else (2,)
    logits, y_true = problem(small, K)
    value, gradient = slow_truth(reward, logits, y_true)
    scale = max(1.0, float(np.abs(gradient).max()))
    for estimator, samples in estimators:
        mean_value, mean_gradient = expected_estimate(estimator, logits, reward, y_true, samples)
        np.testing.assert_allclose(mean_value, value, rtol=1e-6, atol=TOLERANCE)
        np.testing.assert_allclose(mean_gradient, gradient, rtol=1e-5, atol=TOLERANCE * scale)


def test_the_proof_catches_a_baseline_with_its_own_sample():
    class OwnSample(Reinforce):
        def _baseline(self, problem, rewards, state):
            return tf.reduce_mean(rewards), ()

    logits, y_true = problem((2,), 3)
    reward = pgm.get_reward("accuracy")
    _, gradient = slow_truth(reward, logits, y_true)
    _, biased = expected_estimate(OwnSample(samples=2), logits, reward, y_true, 2)
    # The batch mean over S samples shrinks the gradient by (S - 1) / S.
    np.testing.assert_allclose(biased, gradient / 2, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["f1_macro", "matthews_corrcoef", "worst_class_recall"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_effects_equal_relabelling_and_rescoring(name, weighted):
    rng = np.random.default_rng(0)
    reward, K = pgm.get_reward(name), 4
    y_true, labels = rng.integers(0, K, 12), rng.integers(0, K, (3, 12))
    weight = rng.gamma(2.0, size=12) if weighted else np.ones(12)
    truth = tf.constant(y_true[:, None], tf.int32)
    batch = Batch(truth, tf.constant(weight[:, None], tf.float32), K, weighted)
    effects = (
        reward.bind(batch)
        .marginal_rewards(tf.constant(labels[..., None], tf.int32))
        .numpy()[:, :, 0]
    )
    flipped = np.tile(labels[:, None, None], (1, 12, K, 1))
    for i, c in itertools.product(range(12), range(K)):
        flipped[:, i, c, i] = c
    rescored = reward(y_true, flipped.reshape(-1, 12), weight, num_classes=K).numpy()
    rescored = rescored.reshape(3, 12, K)
    np.testing.assert_allclose(
        effects - effects.mean(-1, keepdims=True),
        rescored - rescored.mean(-1, keepdims=True),
        atol=3e-6,
    )


@pytest.mark.parametrize("name", ["reinforce", "local_expectation"])
def test_same_seed_same_draws_in_every_mode(name):
    estimator, reward = pgm.estimators.get_estimator(name), pgm.get_reward("f1_macro")
    logits, y_true = problem((64,), 5)

    def run(seed):
        estimate = estimator(logits, reward, y_true, seed=seed)
        return estimate.value, estimate.gradient

    eager = run(3)
    for jit in (False, True):
        compiled = tf.function(run, jit_compile=jit, autograph=False)(3)
        for a, b in zip(eager, compiled, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert not np.allclose(eager[1], run(4)[1], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 6, MOST_PAIRS, MOST_PAIRS + 1, 200])
def test_a_latin_hypercube_has_the_same_bits_in_every_mode(samples):
    eager = latin_uniforms(5, samples, [40, 2]).numpy()
    for jit in (False, True):
        compiled = tf.function(latin_uniforms, jit_compile=jit, autograph=False)
        np.testing.assert_array_equal(compiled(tf.constant([5, 0]), samples, [40, 2]), eager)
    # One uniform of each site per stratum, up to the rounding of a float32 number below 1.
    within = samples * np.sort(eager.astype(np.float64), axis=0)
    within -= np.arange(samples)[:, None, None]
    assert within.min() > -samples * 2.0**-23
    assert within.max() < 1.0 + samples * 2.0**-23


def test_ranks_by_sorting_are_those_of_all_pairs(monkeypatch):
    """Ties, negative keys and the ends of int32 included."""
    keys = np.random.default_rng(0).integers(-2, 3, [MOST_PAIRS, 50]).astype(np.int32)
    keys[:4].T[:] = np.iinfo(np.int32).max, np.iinfo(np.int32).min, np.iinfo(np.int32).max, -1
    ranks = np.argsort(np.argsort(keys, axis=0, kind="stable"), axis=0)
    for most in (MOST_PAIRS, 1):
        monkeypatch.setattr(draws, "MOST_PAIRS", most)
        for jit in (None, False, True):
            rank = draws._ranks if jit is None else tf.function(draws._ranks, jit_compile=jit)
            np.testing.assert_array_equal(rank(tf.constant(keys), MOST_PAIRS), ranks)


def test_every_set_of_a_latin_hypercube_is_an_independent_draw():
    """Over sites each set is uniform and two sites of a set do not know of each other."""
    uniform = latin_uniforms(1, 32, [20_000, 2]).numpy().astype(np.float64)
    # A mean of 20,000 uniforms has a standard error of .0020; of 32 sets and 3 figures the
    # furthest is within 4.5 of them.
    for figure, expected, deviation in (
        (uniform[..., 0], 1 / 2, np.sqrt(1 / 12)),
        (uniform[..., 0] ** 2, 1 / 3, np.sqrt(4 / 45)),
        (uniform[..., 0] * uniform[..., 1], 1 / 4, np.sqrt(7 / 144)),
    ):
        off = np.abs(figure.mean(axis=1) - expected)
        assert off.max() < 4.5 * deviation / np.sqrt(20_000)


def test_moving_average_knows_only_the_past():
    estimator = pgm.estimators.Reinforce(samples=1, baseline="moving_average", decay=0.5)
    logits, y_true = problem((3,), 2)
    reward = pgm.get_reward("accuracy")
    right, wrong = y_true[None], 1 - y_true[None]
    first = estimator.from_samples(logits, reward, y_true, right)
    greedy = float(reward(y_true, np.argmax(logits, -1)))
    score = np.eye(2)[right[0]] - tf.nn.softmax(logits).numpy()
    np.testing.assert_allclose(first.gradient, (1.0 - greedy) * score, atol=TOLERANCE)
    second = estimator.from_samples(logits, reward, y_true, wrong, state=first.state)
    score = np.eye(2)[wrong[0]] - tf.nn.softmax(logits).numpy()
    np.testing.assert_allclose(second.gradient, (0.0 - 1.0) * score, atol=TOLERANCE)
    third = estimator.from_samples(logits, reward, y_true, right, state=second.state)
    score = np.eye(2)[right[0]] - tf.nn.softmax(logits).numpy()
    # Past rewards 1 then 0, decay 1/2: (0.25 * 1 + 0.5 * 0) / 0.75.
    np.testing.assert_allclose(third.gradient, (1.0 - 1 / 3) * score, atol=TOLERANCE)


def test_a_black_box_is_never_differentiated():
    calls = []

    def reward(y_true, y_pred):
        assert isinstance(y_pred, np.ndarray)
        calls.append(y_pred)
        return float((y_true == y_pred).mean())

    logits, y_true = problem((4,), 2)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        estimate = pgm.estimators.Reinforce(samples=4)(
            variable, pgm.rewards.BlackBox(reward), y_true, seed=0
        )
    assert len(calls) == 4
    assert tape.gradient(estimate.value, variable) is None


def test_stronger_than_its_baselines():
    """Measured variance falls from none to leave-one-out to local expectation."""
    logits, y_true = problem((32,), 3)
    reward = pgm.get_reward("f1_macro")
    truth = pgm.estimators.ExactExpectation()(logits, reward, y_true).gradient.numpy()

    def error(estimator):
        @tf.function(autograph=False)
        def run(seed):
            return estimator(logits, reward, y_true, seed=seed).gradient

        return np.mean([((run(tf.constant([s, 0])) - truth) ** 2).numpy().sum() for s in range(64)])

    none, loo = (error(pgm.estimators.Reinforce(8, b)) for b in ("none", "leave_one_out"))
    local, plain = (
        error(pgm.estimators.LocalExpectation(8)),
        error(pgm.estimators.LocalExpectation(8, False)),
    )
    assert none > 4 * loo > 16 * plain > 32 * local


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_config_round_trip(name):
    estimator = pgm.estimators.get_estimator(name)
    assert type(estimator)(**estimator.get_config()) == estimator


def test_errors_name_the_way_out():
    logits, y_true = problem((3,), 3)
    f1 = pgm.get_reward("f1_macro")
    box = pgm.rewards.BlackBox(blackbox)
    with pytest.raises(TypeError, match=r"no exact expectation.*reinforce"):
        pgm.estimators.ExactExpectation()(logits, box, y_true)
    with pytest.raises(TypeError, match="local_expectation"):
        pgm.estimators.ExactExpectation()(logits, pgm.get_reward("g_mean"), y_true)
    with pytest.raises(TypeError, match=r"black box.*reinforce"):
        pgm.estimators.LocalExpectation()(logits, box, y_true, seed=0)
    with pytest.raises(ValueError, match="needs seed="):
        pgm.estimators.Reinforce()(logits, f1, y_true)
    with pytest.raises(ValueError, match=r"labels 0 to 2.*from 0 to 3"):
        pgm.estimators.ExactExpectation()(logits, f1, [0, 1, 3])
    with pytest.raises(ValueError, match="integer class labels"):
        pgm.estimators.ExactExpectation()(logits, f1, [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="y_true must have the shape"):
        pgm.estimators.ExactExpectation()(logits, f1, [0, 1])
    with pytest.raises(ValueError, match="must be finite"):
        pgm.estimators.ExactExpectation()(logits * np.nan, f1, y_true)
    with pytest.raises(ValueError, match=r"3\^40 label sets.*exact"):
        pgm.estimators.Enumerate()(tf.zeros([40, 3]), f1, np.zeros(40, int))
    with pytest.raises(ValueError, match="returned nan"):
        pgm.estimators.Reinforce()(
            logits, pgm.rewards.BlackBox(lambda y, a: float("nan")), y_true, seed=0
        )
    with pytest.raises(ValueError, match="one number per call"):
        pgm.estimators.Reinforce()(
            logits, pgm.rewards.BlackBox(lambda y, a: y == a), y_true, seed=0
        )
    worst = pgm.get_reward("worst_class_recall")
    with pytest.raises(ValueError, match=r"K=40.*f1_macro"):
        pgm.estimators.LocalExpectation()(tf.zeros([64, 40]), worst, np.arange(64) % 40, seed=0)
    with pytest.raises(ValueError, match="did you mean 'exact'"):
        pgm.estimators.get_estimator("exakt")


def test_rewards_go_by_their_names():
    estimator, y = pgm.estimators.ExactExpectation(), [0, 1, 0]
    for name, logits in (("f1_macro", np.eye(3)), ("average_precision", [[0.0], [2.0], [1.0]])):
        by_name, by_object = (
            estimator(logits, reward, y) for reward in (name, pgm.get_reward(name))
        )
        assert float(by_name.value) == float(by_object.value)
    with pytest.raises(ValueError, match="'f1_makro' is not known; did you mean 'f1_macro'"):
        estimator(np.eye(3), "f1_makro", y)
