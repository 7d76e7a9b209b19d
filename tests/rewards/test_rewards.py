"""Every reward against its scikit-learn twin."""

import dataclasses
import functools
import inspect
import itertools
import pickle
import warnings

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_twins import TWINS, twin
from sklearn import metrics as sk

import policygrad_metrics as pgm
from policygrad_metrics.core.batch import Batch
from policygrad_metrics.rewards import ALIASES, REWARDS
from policygrad_metrics.rewards.confusion import confusion_counts

# float32 sums of up to 200 terms, divided: 200 * 2^-24 = 1.2e-5 at the very worst.
TOLERANCE = 5e-6


def test_every_reward_has_a_twin():
    assert set(TWINS) == set(REWARDS)


def defined(name, K, multilabel):
    reward = dataclasses.replace(pgm.get_reward(name), multilabel=multilabel)
    sites = (1, 2) if multilabel else (1,)
    try:
        reward(np.zeros(sites, int), np.zeros(sites, int), num_classes=K)
    except ValueError:
        return None
    return reward


KINDS = [(2, False), (3, False), (6, False), (2, True)]
CASES = [
    pytest.param(name, reward, K, m, id=f"{name}-{K}{'-multilabel' if m else ''}")
    for name in REWARDS
    for K, m in KINDS
    if (reward := defined(name, K, m)) is not None
]


#: Four classes have 64 label sets: what three do not show is left to the slow tests.
SMALL_CASES = [
    pytest.param(*case.values, id=case.id, marks=pytest.mark.slow if case.values[2] == 6 else ())
    for case in CASES
]


@pytest.mark.few(20)
@pytest.mark.parametrize(("name", "reward", "K", "multilabel"), SMALL_CASES)
def test_equals_scikit_learn_on_every_label_set_of_a_small_batch(name, reward, K, multilabel):
    K = min(K, 4)
    sites = (2, 2) if multilabel else (3,)
    rng = np.random.default_rng(0)
    labels = np.array(list(itertools.product(range(K), repeat=int(np.prod(sites)))))
    labels = labels.reshape(-1, *sites)
    for weight in (None, np.array([0.5, 0.0, 3.0][: sites[0]])):
        y = rng.integers(0, K, sites)
        expected = [twin(name, y, a, weight, K, multilabel) for a in labels]
        np.testing.assert_allclose(
            reward(y, labels, weight, num_classes=K), expected, atol=TOLERANCE
        )


#: One case of each reward is compiled by XLA too.
COMPILED = {name: reward for name, reward, *_ in (case.values for case in CASES)}
SIZES = (1, 2, 5, 30, 200)
#: Of each reward three classes, and the case that XLA compiles too; the others are slow.
FEWER_CASES = [
    pytest.param(*case.values, id=case.id, marks=pytest.mark.slow if further else ())
    for case in CASES
    for further in [case.values[1] is not COMPILED[case.values[0]] and case.values[2] != 3]
]


def assert_equals_twin(name, reward, K, multilabel, seed, N, present, weighted):
    """On a random batch of N rows, of whose K classes the first so many are present."""
    rng = np.random.default_rng(seed)
    sites = (N, 3) if multilabel else (N,)
    y, a = rng.integers(0, present, sites), rng.integers(0, K, sites)
    weight = rng.gamma(1.0, size=N) + 0.01 if weighted else None
    np.testing.assert_allclose(
        float(reward(y, a, weight, num_classes=K)),
        twin(name, y, a, weight, K, multilabel),
        atol=TOLERANCE,
    )


@pytest.mark.few(30)
@pytest.mark.parametrize(("name", "reward", "K", "multilabel"), FEWER_CASES)
def test_equals_scikit_learn_on_random_batches(name, reward, K, multilabel):
    for seed, N in enumerate(SIZES):  # weights for 2, 30 and 200 rows
        assert_equals_twin(name, reward, K, multilabel, seed, N, 1 + seed % K, N % 2 == 0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "reward", "K", "multilabel"), CASES)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_equals_scikit_learn_on_any_random_batch(name, reward, K, multilabel, data):
    seed = data.draw(st.integers(0, 2**31 - 1))
    N, present = data.draw(st.sampled_from(SIZES)), data.draw(st.integers(1, K))
    weighted = data.draw(st.booleans())
    assert_equals_twin(name, reward, K, multilabel, seed, N, present, weighted)


@pytest.mark.few(30)
@pytest.mark.parametrize(("name", "reward", "K", "multilabel"), FEWER_CASES)
def test_weight_zero_is_the_row_removed_and_two_the_row_twice(name, reward, K, multilabel):
    rng = np.random.default_rng(1)
    sites = (20, 3) if multilabel else (20,)
    y, a = rng.integers(0, K, sites), rng.integers(0, K, sites)
    weight = rng.integers(0, 3, 20)
    rows = np.repeat(np.arange(20), weight)
    np.testing.assert_allclose(
        float(reward(y, a, weight, num_classes=K)),
        float(reward(y[rows], a[rows], num_classes=K)),
        atol=TOLERANCE,
    )


@pytest.mark.few(6)
@pytest.mark.parametrize("name", ["f1", "jaccard", "precision", "recall"])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_labels_and_zero_division_follow_scikit_learn(name, average):
    rng = np.random.default_rng(2)
    function = getattr(sk, f"{name}_score")
    for present in (2, 3, 4):
        y, labels = rng.integers(0, present, 8), rng.integers(0, 4, (7, 8))
        assert np.isin(y, [0, 2, 3]).any()  # or scikit-learn has no weights to average with
        for zero in (0.0, 1.0):
            reward = pgm.get_reward(f"{name}_{average}", labels=(0, 2, 3), zero_division=zero)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                options = {"labels": [0, 2, 3], "average": average, "zero_division": zero}
                expected = [function(y, a, **options) for a in labels]
            np.testing.assert_allclose(reward(y, labels, num_classes=4), expected, atol=TOLERANCE)


def weighted_labels(K, multilabel):
    """Truth, five sets of labels, and weights from 1e-4 to 1e4."""
    rng = np.random.default_rng(3)
    sites = (23, 3) if multilabel else (23,)
    y, labels = rng.integers(0, K, sites), rng.integers(0, K, (5, *sites))
    return y, labels, np.float32(10 ** rng.uniform(-4, 4, 23))


@functools.cache
def scores_under_xla(K, multilabel):
    """Of all rewards of a kind in one program: to start the compiler takes longest."""
    cases = [case.values for case in CASES if case.values[2:] == (K, multilabel)]
    rewards = {name: reward for name, reward, *_ in cases if reward is COMPILED[name]}

    @tf.function(jit_compile=True, autograph=False)
    def run(y, labels, w):
        return {name: reward(y, labels, w, num_classes=K) for name, reward in rewards.items()}

    return run(*weighted_labels(K, multilabel))


@pytest.mark.few(12)
@pytest.mark.parametrize(("name", "reward", "K", "multilabel"), FEWER_CASES)
def test_counts_are_scored_as_the_labels_they_count(name, reward, K, multilabel):
    if reward.aggregation != "counts":
        with pytest.raises(TypeError, match=rf"{name}.*no function of confusion counts"):
            reward.score_counts(tf.zeros([3, 2, 2]))
        return
    y, labels, w = weighted_labels(K, multilabel)
    weight = np.repeat(w[:, None], y.shape[-1] if multilabel else 1, axis=1)
    counts = confusion_counts(
        tf.constant(y.reshape(weight.shape), tf.int32),
        tf.constant(labels.reshape(5, *weight.shape), tf.int32),
        tf.constant(weight),
        K,
    )
    counts = counts if multilabel else counts[:, 0]
    scores = reward.score_counts(counts)
    assert scores.dtype == tf.float64
    assert reward.score_counts(tf.cast(counts, tf.float32)).dtype == tf.float32
    # scikit-learn takes differences of sums of squares, of 23 weights in float64.
    expected = [twin(name, y, a, np.float64(w), K, multilabel) for a in labels]
    np.testing.assert_allclose(scores, expected, atol=1e-10)
    found = [reward(y, labels, w, num_classes=K)]
    if reward is COMPILED[name]:
        found.append(scores_under_xla(K, multilabel)[name])
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=2.0**-23, atol=1e-10)
    form = reward.bind(
        Batch(tf.constant(y.reshape(weight.shape), tf.int32), tf.constant(weight), K, True)
    )
    found = form.score(tf.constant(labels.reshape(5, *weight.shape), tf.int32))
    # The tables of a form are float32: each entry is off by 2^-24 of itself, kappa's by a few.
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_class_of_a_millionth_of_the_weight_counts():
    assert float(pgm.rewards.Precision()([1, 0], [1, 0], [1.0, 2e6])) == 1.0
    assert float(pgm.get_reward("g_mean")([1, 0, 1], [1, 0, 0], [1.0, 2e12, 1.0])) == (
        pytest.approx(0.5**0.5)
    )
    assert float(pgm.get_reward("specificity")([1, 1, 0], [1, 1, 0], [1e12, 1e12, 1e-6])) == 1.0
    # The bound reward, which REINFORCE scores.
    bound = pgm.rewards.Precision().bind(
        Batch(tf.constant([[1], [0]]), tf.constant([[1.0], [2e6]]), 2, True)
    )
    assert float(bound.score(tf.constant([[[1], [0]]]))[0]) == 1.0


def test_plain_counts_of_millions():
    y = np.zeros(3_000_001, np.int32)
    y[:2] = 1
    labels = y.copy()
    labels[1:3] = 0, 1
    for name, expected in (("precision", 0.5), ("f1", 0.5), ("jaccard", 1 / 3), ("recall", 0.5)):
        assert float(pgm.get_reward(name)(y, labels)) == pytest.approx(expected, rel=1e-6), name


@pytest.mark.parametrize("whole", [np.int32, np.int64, list])
def test_counts_that_are_whole_numbers_give_a_rate(whole):
    counts = [[5, 1], [1, 3]]
    counts = counts if whole is list else np.array(counts, whole)
    assert float(pgm.get_reward("precision").score_counts(counts)) == 0.75


def test_a_class_of_900_in_a_billion_pixels_has_its_iou():
    confusion = np.array([[1e9 - 1000, 100.0], [300.0, 600.0]])
    assert float(pgm.get_reward("iou").score_counts(confusion)) == pytest.approx(0.6, rel=1e-15)
    metric = pgm.RewardMetric("iou")
    metric.update_state([0, 1], [[1.0, 0.0], [0.0, 1.0]])
    metric.variables[0].assign(confusion[None])
    assert float(metric.result()) == pytest.approx(0.6, rel=2.0**-24)


@pytest.mark.parametrize("prevalence", [4e-2, 4e-5, 4e-8])
def test_matthews_correlation_of_a_rare_class(prevalence):
    positives = prevalence * 1e9
    hits, alarms = 0.7 * positives, 0.4 * positives
    confusion = [[1e9 - positives - alarms, alarms], [positives - hits, hits]]
    (tn, fp), (fn, tp) = (map(round, row) for row in confusion)
    # Whole numbers of Python: no rounding before the root.
    exact = (tp * tn - fp * fn) / ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    reward = pgm.get_reward("matthews_corrcoef")
    found = float(reward.score_counts(np.array([[tn, fp], [fn, tp]], np.float64)))
    # 1 - sum p^2 is off by 2^-53 or two, of twice the prevalence.
    assert found == pytest.approx(exact, rel=2.0**-52 / prevalence + 1e-15)
    if prevalence == 4e-5:  # as labels of as many examples, in float32 weights
        y, a = [0, 0, 1, 1], [0, 1, 0, 1]
        assert float(reward(y, a, [tn, fp, fn, tp])) == pytest.approx(exact, rel=1e-6)


def test_a_function_of_your_own_meets_float32():
    half = tf.constant(0.5)
    of_counts = pgm.rewards.CountReward(lambda confusion: half * tf.reduce_sum(confusion, [-2, -1]))
    of_classes = pgm.rewards.ClassCountReward(
        lambda hits, predicted, true: (half * hits)[..., None], lambda x: half * x[..., 0]
    )
    counts = tf.constant([[2.0, 1.0], [0.0, 1.0]], tf.float64)
    assert float(of_counts.score_counts(counts)) == 2.0
    assert float(of_classes.score_counts(counts)) == 0.25 * 0.75
    logits, y_true = tf.zeros([7, 3]), [0, 1, 2, 0, 1, 2, 0]
    for reward in (of_counts, of_classes):
        for weight in (None, np.linspace(0.5, 1.5, 7)):
            estimate = pgm.estimators.LocalExpectation()(
                logits, reward, y_true, sample_weight=weight, seed=1
            )
            assert estimate.gradient.dtype == tf.float32


def test_black_box_serves_scikit_learn_functions_with_weights():
    reward = pgm.rewards.BlackBox(sk.matthews_corrcoef)
    rng = np.random.default_rng(0)
    y, a, w = rng.integers(0, 3, 30), rng.integers(0, 3, (4, 30)), rng.gamma(1.0, size=30)
    expected = [sk.matthews_corrcoef(y, one, sample_weight=w.astype(np.float32)) for one in a]
    np.testing.assert_allclose(reward(y, a, w), expected, atol=TOLERANCE)


def test_dense_sites_are_pooled():
    rng = np.random.default_rng(0)
    y, a = rng.integers(0, 3, (2, 4, 5)), rng.integers(0, 3, (2, 4, 5))
    expected = sk.jaccard_score(y.ravel(), a.ravel(), average="macro")
    assert float(pgm.get_reward("mean_iou")(y, a)) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", sorted(REWARDS))
def test_config_and_pickle_round_trips(name):
    reward = pgm.get_reward(name)
    assert type(reward).from_config(reward.get_config()) == reward
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert pgm.get_reward(reward) is reward


def test_aliases_and_generated_names():
    for alias, name in ALIASES.items():
        assert pgm.get_reward(alias) == pgm.get_reward(name)
    assert pgm.get_reward("within_3").bins == 3
    assert pgm.get_reward("example_costs") == pgm.rewards.ExampleCosts()
    assert pgm.get_reward("fbeta_micro", beta=0.5).name == "f0.5_micro"


@pytest.mark.few(2)
@pytest.mark.parametrize(("zero", "jit"), [(-1.0, False), (0.0, False), (1.0, False), (1.0, True)])
def test_kappa_of_one_class_is_zero_division_and_its_gradient_finite(zero, jit):
    reward, y_true = pgm.rewards.CohenKappa("linear", zero_division=zero), np.zeros(3, int)

    @tf.function(autograph=False, jit_compile=jit)
    def expected(logits):
        estimate = pgm.estimators.ExactExpectation()(logits, reward, y_true)
        return estimate.value, estimate.gradient

    value, gradient = expected(tf.zeros([3, 2]))
    # Kappa is 0 wherever a label is not 0, and zero_division if none is.
    np.testing.assert_allclose(value, zero / 8, atol=2e-6)
    np.testing.assert_allclose(gradient, [[zero / 16, -zero / 16]] * 3, atol=2e-6)


def test_docstrings_state_a_formula_or_an_example():
    for name in ("FBeta", "Jaccard", "CohenKappa", "MatthewsCorrelation", "GainMatrix", "BlackBox"):
        assert ">>>" in inspect.getdoc(getattr(pgm.rewards, name))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("gain_matrix", {}, r"no default for gains=.*get_reward\('gain_matrix', gains=...\)"),
        ("cost_matrix", {}, "no default for costs="),
        ("hierarchical_f", {}, "no default for ancestors="),
        ("gain_matrix", {"gain": [[1]]}, "has no argument gain=; it has these: .*gains="),
        ("fbeta", {"bta": 2.0}, "has no argument bta="),
        ("fbeta_macro", {"bta": 2.0}, "has no argument bta="),
        ("within_2", {"size": 2}, "has no argument size="),
    ],
)
def test_arguments_that_are_missing_or_unknown_are_named(name, arguments, message):
    with pytest.raises(TypeError, match=message):
        pgm.get_reward(name, **arguments)


def test_errors():
    with pytest.raises(ValueError, match=r"did you mean 'f1_macro'"):
        pgm.get_reward("f1_macr")
    with pytest.raises(
        TypeError, match=r"class ExampleCosts: give an object of it, ExampleCosts\("
    ):
        pgm.get_reward(pgm.rewards.ExampleCosts)
    with pytest.raises(TypeError, match="name, a Reward or a function"):
        pgm.get_reward(3)
    with pytest.raises(ValueError, match=r'K=3 classes. Use "f1_macro"'):
        pgm.get_reward("f1")([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="multi-label"):
        pgm.get_reward("f1", multilabel=True)([[0, 1]], [[0, 1]])
    with pytest.raises(ValueError, match="needs multi-label data"):
        pgm.get_reward("f1_samples")([0, 1], [0, 1])
    with pytest.raises(ValueError, match="not defined for multi-label"):
        pgm.get_reward("cohen_kappa", multilabel=True)([[0, 1]], [[0, 1]])
    with pytest.raises(ValueError, match="zero_division"):
        pgm.get_reward("f1", zero_division=2.0)
    for value in (float("nan"), -1.5, float("inf")):
        with pytest.raises(ValueError, match="zero_division must be a number from -1 to 1"):
            pgm.rewards.CohenKappa("quadratic", zero_division=value)
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="zero_division must be a finite number"):
            pgm.rewards.RatioReward(lambda y, w, K: (w, w, 0.0, 0.0), zero_division=value)
    for beta in (0.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="beta must be"):
            pgm.rewards.FBeta(beta=beta)
    with pytest.raises(ValueError, match="did you mean 'macro'"):
        pgm.rewards.FBeta(average="makro")
    with pytest.raises(ValueError, match="labels must be classes 0 to 2"):
        pgm.get_reward("f1_macro", labels=(0, 5))([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="table of 'gain_matrix' has 2 classes"):
        pgm.rewards.GainMatrix([[1, 0], [0, 1]])([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="square table"):
        pgm.rewards.GainMatrix([[1, 0]])
    with pytest.raises(ValueError, match="y_pred must have shape"):
        pgm.get_reward("accuracy")([0, 1, 2], [[0, 1]])
    with pytest.raises(ValueError, match="one value per example"):
        pgm.get_reward("accuracy")([0, 1, 2], [0, 1, 2], [1.0, 2.0])
    with pytest.raises(ValueError, match="whole number, 0 or more"):
        pgm.rewards.WithinBins(-1)


def test_all_weights_zero_scores_without_nan():
    for name in REWARDS:
        K = 2
        if defined(name, K, False) is None:
            continue
        score = pgm.get_reward(name)([0, 1], [0, 1], [0.0, 0.0], num_classes=K)
        assert bool(tf.math.is_finite(score)), name
