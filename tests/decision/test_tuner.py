"""The decision tuner against exhaustive searches, scikit-learn and theory."""

import functools
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import TunedThresholdClassifierCV

from policygrad_metrics import decision
from policygrad_metrics.decision import METHODS, plain_rule
from policygrad_metrics.decision.expected_f import expected_f
from policygrad_metrics.decision.scorer import Scorer
from policygrad_metrics.rewards import get_reward

#: The searches themselves, on as few rows as all decisions can be tried on.
DecisionTuner = functools.partial(decision.DecisionTuner, one_standard_error=False)

# Rewards are computed in float32: sums of a few quotients below 1.
FLOAT32 = 2e-6

TWINS = {
    "f1": lambda y, a, w: metrics.f1_score(y, a, sample_weight=w, zero_division=0),
    "f1_macro": lambda y, a, w: metrics.f1_score(
        y, a, labels=[0, 1], average="macro", sample_weight=w, zero_division=0
    ),
    "accuracy": lambda y, a, w: metrics.accuracy_score(y, a, sample_weight=w),
    "jaccard": lambda y, a, w: metrics.jaccard_score(y, a, sample_weight=w, zero_division=0),
    "precision": lambda y, a, w: metrics.precision_score(y, a, sample_weight=w, zero_division=0),
    "matthews_corrcoef": lambda y, a, w: metrics.matthews_corrcoef(y, a, sample_weight=w),
}


def every_cut(p, y, weight, twin):
    """The best score over all ways to cut the ranking, ties kept together."""
    cuts = [-1.0, *np.unique(p)]
    return max(twin(y, (p > cut).astype(int), weight) for cut in cuts)


@pytest.mark.slow
def test_a_threshold_of_a_millionth_of_the_rows():
    """Only the highest score is a sure positive: precision 1 takes one call in a million."""
    rng = np.random.default_rng(0)
    p = rng.random(1_000_003) * 0.9
    y = (rng.random(len(p)) < 0.5).astype(int)
    p[17], y[17] = 0.95, 1
    p[18], y[18] = 0.93, 0
    for weight in (None, np.where(y == 1, 1.0, 100.0)):
        tuner = DecisionTuner("precision").fit(p, y, weight)
        assert tuner.score_ == 1.0
        assert tuner.predict(p).sum() == 1


def test_a_path_of_decisions_is_scored_as_each_decision_is():
    """With weights over twelve orders of magnitude, whose sums lose the small ones."""
    rng = np.random.default_rng(0)
    N, K = 37, 3
    truth, labels = rng.integers(0, K, (2, N, 1))
    weight = 10 ** rng.uniform(-6, 6, (N, 1))
    order, after = rng.permutation(N)[:30], rng.integers(0, K, 30)
    stops = np.array([0, 1, 2, 5, 11, 29])
    for name in ("precision_macro", "matthews_corrcoef", "g_mean", "cohen_kappa_quadratic"):
        scorer = Scorer(get_reward(name), truth, weight, K)
        found = scorer.along(labels, 0, order, after, stops)
        for stop, score in zip(stops, found, strict=True):
            changed = labels.copy()
            changed[order[:stop], 0] = after[:stop]
            # The same positive numbers are added up in another order.
            assert score == pytest.approx(scorer.score(changed), rel=1e-12), name


@pytest.mark.few(2)
@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize("reward", TWINS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_threshold_is_the_best_of_all(reward, data):
    size = data.draw(st.integers(2, 30))
    # Few distinct values: ties everywhere; 0, 1/2 and 1 are the awkward ones.
    p = np.array(data.draw(st.lists(st.integers(0, 8), min_size=size, max_size=size))) / 8
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    weight = None
    if data.draw(st.booleans()):
        weight = np.array(data.draw(st.lists(st.integers(1, 4), min_size=size, max_size=size)))
        weight = weight / 2
    tuner = DecisionTuner(reward).fit(p, y, weight)
    twin = TWINS[reward]
    assert twin(y, tuner.predict(p), weight) == pytest.approx(
        every_cut(p, y, weight, twin), abs=FLOAT32
    )
    assert tuner.score_ == pytest.approx(twin(y, tuner.predict(p), weight), abs=FLOAT32)
    assert tuner.plain_score_ == pytest.approx(twin(y, (p > 0.5).astype(int), weight), abs=FLOAT32)
    assert tuner.score_ >= tuner.plain_score_


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probability is its only feature."""

    def fit(self, x, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, x):
        return np.hstack([1 - x, x])

    def predict(self, x):
        return (x[:, 0] > 0.5).astype(int)


@pytest.mark.few(1)
@pytest.mark.parametrize("scoring", ["f1", "balanced_accuracy", "matthews_corrcoef"])
def test_threshold_equals_scikit_learn(scoring):
    rng = np.random.default_rng(3)
    p = rng.beta(1, 4, 200)
    y = (rng.random(200) < p).astype(int)
    thresholds = np.unique(np.concatenate([p, [0.0, 1.0]]))
    twin = TunedThresholdClassifierCV(
        Given().fit(p[:, None], y), scoring=scoring, thresholds=thresholds, cv="prefit", refit=False
    ).fit(p[:, None], y)
    tuner = DecisionTuner(scoring).fit(p, y)
    assert tuner.score_ == pytest.approx(twin.best_score_, abs=FLOAT32)
    assert tuner.score_ > tuner.plain_score_ + 0.01  # there was something to tune


def test_f1_optimal_threshold_on_calibrated_probabilities_is_half_of_f1():
    # Each level of p occurs as a positive of weight p and a negative of weight 1 - p.
    p = np.random.default_rng(0).beta(1, 5, 3000)
    both = np.concatenate([p, p])
    y = np.concatenate([np.ones(3000, int), np.zeros(3000, int)])
    tuner = DecisionTuner("f1").fit(both, y, np.concatenate([p, 1 - p]))
    (threshold,) = tuner.rule_.thresholds
    ranked = np.sort(p)
    place = np.searchsorted(ranked, threshold)
    # F*/2 lies between the two neighbouring values, or as near as float32 can tell them apart.
    assert ranked[place - 2] <= tuner.score_ / 2 <= ranked[place + 1]


def multiclass(seed, size=300, num_classes=4):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.linspace(2.0, 0.3, num_classes), size)
    y = np.array([rng.choice(num_classes, p=row) for row in p])
    return p, y


@pytest.mark.few(5)
@pytest.mark.parametrize("method", ["offsets", "frank_wolfe"])
@pytest.mark.parametrize(
    "reward", ["f1_macro", "accuracy", "cohen_kappa_quadratic", "worst_class_recall", "g_mean"]
)
def test_never_worse_than_arg_max_on_the_fitting_data(method, reward):
    for seed in range(3):
        p, y = multiclass(seed, 120)
        tuner = DecisionTuner(reward, method).fit(p, y)
        assert tuner.score_ >= tuner.plain_score_
        assert tuner.score(p, y) == pytest.approx(tuner.score_, abs=1e-9)


def test_tuning_helps_where_the_reward_is_not_accuracy():
    p, y = multiclass(1, 2000)
    for method in ("offsets", "frank_wolfe"):
        tuner = DecisionTuner("g_mean", method).fit(p, y)
        new_p, new_y = multiclass(2, 2000)
        plain = DecisionTuner("g_mean", method).fit(new_p, new_y).plain_score_
        assert tuner.score(new_p, new_y) > plain + 0.05


@pytest.mark.parametrize("reward", ["f1_macro", "matthews_corrcoef"])
def test_two_classes_by_offsets_cut_points_and_threshold_are_one_family(reward):
    rng = np.random.default_rng(5)
    p = rng.beta(1, 4, 300)
    y = (rng.random(300) < p).astype(int)
    scores = {m: DecisionTuner(reward, m).fit(p, y).score_ for m in METHODS[1:4]}
    assert max(scores.values()) - min(scores.values()) < FLOAT32


@pytest.mark.slow
def test_two_cut_points_against_every_pair():
    p, y = multiclass(7, 40, 3)
    level = p @ np.arange(3)
    every = np.unique(np.concatenate([[-1.0], level]))
    best = max(
        metrics.cohen_kappa_score(y, (level > a).astype(int) + (level > b), weights="quadratic")
        for a, b in itertools.combinations_with_replacement(every, 2)
    )
    tuner = DecisionTuner("cohen_kappa_quadratic", "cut_points").fit(p, y)
    assert tuner.score_ <= best + FLOAT32
    assert tuner.score_ >= best - 0.02  # coordinate ascent may stop at a pair like this one
    low, high = tuner.rule_.cuts
    assert low <= high


def test_ordinal_auto_takes_the_better():
    for seed in range(4):
        p, y = multiclass(seed)
        scores = {
            m: DecisionTuner("cohen_kappa_quadratic", m, ordinal=True).fit(p, y)
            for m in ("auto", "offsets", "cut_points")
        }
        best = max(scores["offsets"].score_, scores["cut_points"].score_)
        assert scores["auto"].score_ == best
        assert scores["auto"].method_ in ("offsets", "cut_points")


@pytest.mark.few(1)
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_expected_f_equals_enumeration(beta):
    p = np.array([1.0, 0.9, 0.6, 0.35, 0.1, 1e-6, 0.0])
    values = expected_f(p, beta, zero_division=1)
    for k in range(len(p) + 1):
        labels = (np.arange(len(p)) < k).astype(int)
        total = 0.0
        for truth in itertools.product([0, 1], repeat=len(p)):
            chance = np.prod(np.where(truth, p, 1 - p))
            if chance:
                f = metrics.fbeta_score(truth, labels, beta=beta, zero_division=1)
                total += chance * f
        assert values[k] == pytest.approx(total, rel=1e-9, abs=1e-12)


def test_expected_f_in_large_sets_approaches_the_formula_of_expected_counts():
    p = np.sort(np.random.default_rng(0).beta(1, 5, 20000))[::-1]
    values = expected_f(p)[1:]
    formula = 2 * np.cumsum(p) / (np.arange(1, 20001) + p.sum())
    assert np.abs(values[1000:] - formula[1000:]).max() < 1e-3  # the error falls as 1 / N
    assert values.argmax() == pytest.approx(formula.argmax(), abs=5)


def test_expected_f_decides_by_the_set_at_hand():
    tuner = DecisionTuner("f1", "expected_f").fit(np.array([0.2, 0.8]), [0, 1])
    assert tuner.predict(np.array([0.4, 0.4, 0.4])).tolist() == [1, 1, 1]
    assert tuner.predict(np.array([0.4, 0.95, 0.9])).tolist() == [0, 1, 1]
    columns = DecisionTuner("f1_macro", "expected_f", multilabel=True)
    columns.fit([[0.2, 0.4], [0.8, 0.4]], [[0, 1], [1, 0]])
    assert columns.predict([[0.4, 0.4], [0.95, 0.4]]).tolist() == [[0, 1], [1, 1]]


def test_a_black_box_is_tuned_and_not_called_too_often():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 4, 200)
    y = (rng.random(200) < p).astype(int)
    calls = []

    def f1(y_true, y_pred):
        calls.append(1)
        return metrics.f1_score(y_true, y_pred, zero_division=0)

    exact = DecisionTuner("f1").fit(p, y)
    every = DecisionTuner(f1, max_calls=1000).fit(p, y)
    assert every.score_ == pytest.approx(exact.score_, abs=FLOAT32)
    calls.clear()
    some = DecisionTuner(f1, max_calls=50).fit(p, y)
    assert len(calls) <= 55  # a sweep, and the plain and final decisions
    assert exact.plain_score_ < some.score_ <= exact.score_ + FLOAT32
    three_p, three_y = multiclass(0, 100, 3)
    three = DecisionTuner(
        lambda t, a: metrics.f1_score(t, a, average="macro", zero_division=0), max_calls=20
    )
    box = three.fit(three_p, three_y)
    assert box.score_ >= box.plain_score_


def multilabel(seed, size=200, columns=3):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 3, (size, columns)).round(2)
    return p, (rng.random(p.shape) < p).astype(int)


def test_columns_of_a_macro_average_are_tuned_as_if_alone():
    p, y = multilabel(0)
    tuner = DecisionTuner("f1_macro", multilabel=True).fit(p, y)
    alone = [DecisionTuner("f1").fit(p[:, c], y[:, c]).score_ for c in range(3)]
    assert tuner.score_ == pytest.approx(np.mean(alone), abs=FLOAT32)
    assert tuner.predict(p).shape == y.shape


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("reward", "twin"),
    [
        ("accuracy", metrics.accuracy_score),
        ("f1_micro", lambda y, a: metrics.f1_score(y, a, average="micro")),
        ("f1_samples", lambda y, a: metrics.f1_score(y, a, average="samples", zero_division=0)),
    ],
)
def test_no_single_threshold_can_be_moved_to_improve(reward, twin):
    p, y = multilabel(4, 80)
    tuner = DecisionTuner(reward, multilabel=True).fit(p, y)
    thresholds = np.array(tuner.rule_.thresholds)
    assert twin(y, tuner.predict(p)) == pytest.approx(tuner.score_, abs=FLOAT32)
    for c in range(3):
        for cut in (-1.0, *np.unique(p[:, c])):
            moved = thresholds.copy()
            moved[c] = cut
            assert twin(y, (p > moved).astype(int)) <= tuner.score_ + FLOAT32


def test_weights_are_repeated_rows():
    p, y = multiclass(3, 60)
    weight = np.random.default_rng(0).integers(0, 4, 60)
    for method in ("offsets", "cut_points", "frank_wolfe"):
        weighted = DecisionTuner("f1_macro", method).fit(p, y, weight)
        repeated = DecisionTuner("f1_macro", method).fit(p.repeat(weight, 0), y.repeat(weight))
        assert weighted.score_ == pytest.approx(repeated.score_, abs=FLOAT32)


def test_empty_classes_ties_and_single_rows():
    same = DecisionTuner("f1").fit(np.full(6, 0.2), [0, 1, 0, 0, 1, 0])
    assert same.predict([0.2]).tolist() == [1]  # all or nothing: F1 of "all" is larger
    assert DecisionTuner("f1").fit([0.2], [0]).score_ == 0.0
    p, y = multiclass(0, 50, 5)
    y = np.where(y == 3, 0, y)  # a class without an example
    for method in ("offsets", "cut_points", "frank_wolfe"):
        tuner = DecisionTuner("f1_macro", method).fit(p, y)
        assert np.isfinite(tuner.score_)
        assert np.isfinite(tuner.score(p, y))
    certain = np.eye(3)[[0, 1, 2, 1]]  # zeros and ones, no ratios
    assert DecisionTuner("f1_macro").fit(certain, [0, 1, 2, 2]).score_ >= 0.5


def test_follows_the_conventions_of_scikit_learn():
    tuner = DecisionTuner("f1_macro", "offsets", max_calls=7)
    assert clone(tuner).get_params() == tuner.get_params()
    assert tuner.get_params()["max_calls"] == 7
    with pytest.raises(NotFittedError):
        tuner.predict(np.eye(2))
    p, y = multiclass(0, 40)
    assert tuner.fit(p, y) is tuner
    again = pickle.loads(pickle.dumps(tuner))
    assert (again.predict(p) == tuner.predict(p)).all()
    assert tuner.predict(p).dtype == np.int64


@pytest.mark.parametrize("method", METHODS[1:4])
def test_rules_say_what_they_do(method):
    p = np.array([0.1, 0.2, 0.3, 0.9])
    words = DecisionTuner("f1", method).fit(p, [0, 1, 1, 1]).rule_.describe()
    assert {"threshold": "p > ", "offsets": "w p", "cut_points": "E[level]"}[method] in words


def test_plain_rules():
    p = np.array([[[0.5, 0.0, 0.5]], [[0.1, 0.2, 0.7]]])
    assert plain_rule().decide(p)[:, 0].tolist() == [0, 2]
    assert plain_rule("rounded_level", 3).decide(p)[:, 0].tolist() == [1, 2]
    with pytest.raises(ValueError, match="did you mean 'arg_max'"):
        plain_rule("argmax")


@pytest.mark.parametrize(
    ("arguments", "data", "message"),
    [
        ({"method": "treshold"}, ([0.5], [1]), "did you mean 'threshold'"),
        ({"method": "threshold"}, (np.eye(3), [0, 1, 2]), "needs two classes"),
        ({"method": "offsets", "multilabel": True}, (np.eye(2), np.eye(2)), "multi-label"),
        ({"method": "expected_f", "reward": "accuracy"}, ([0.5], [1]), "maximises F-beta"),
        ({"max_calls": 1}, ([0.5], [1]), "max_calls"),
        ({"reward": "f1_marco"}, ([0.5], [1]), "did you mean 'f1_macro'"),
        ({"reward": "f1"}, (np.eye(3), [0, 1, 2]), "class 1 of two classes"),
        ({}, ([0.5, np.nan], [0, 1]), "NaN"),
        ({}, ([-3.0, 2.0], [0, 1]), "not the logits"),
        ({}, ([0.5, 0.5], [0, 2]), "labels 0 to 1"),
        ({}, ([0.5, 0.5], [0, 1, 1]), "y_true must have shape"),
        ({}, (np.eye(3)[:2], np.eye(3)[:2]), "multilabel=True"),
        ({}, (np.zeros((2, 2, 2)), [0, 1]), "probabilities must have shape"),
        ({}, ([0.5, 0.5], [0, 1], [1.0]), "sample_weight"),
        ({}, ([0.5, 0.5], [0, 1], [0.0, 0.0]), "zero throughout"),
    ],
)
def test_errors_name_the_way_out(arguments, data, message):
    with pytest.raises(ValueError, match=message):
        DecisionTuner(**arguments).fit(*data)


def test_frank_wolfe_refuses_a_black_box_and_predict_other_shapes():
    with pytest.raises(ValueError, match="confusion counts"):
        DecisionTuner(lambda y, a: 0.5, "frank_wolfe").fit([0.5], [1])
    with pytest.raises(ValueError, match="of fit"):
        DecisionTuner("f1").fit([0.5], [1]).predict(np.eye(3))
