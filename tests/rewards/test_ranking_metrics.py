"""Rewards of rankings against scikit-learn, ties and weights included."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score, dcg_score, ndcg_score, roc_auc_score

import policygrad_metrics as pgm
from policygrad_metrics.rewards import RANKINGS, Ranking

RNG = np.random.default_rng(0)


def problem(n=40, grades=2, ties=True):
    scores = RNG.normal(size=n)
    return RNG.integers(0, grades, n), np.round(scores, 1) if ties else scores


TWINS = {
    "average_precision": (2, average_precision_score),
    "roc_auc": (2, roc_auc_score),
    "partial_roc_auc": (2, lambda y, s, **how: roc_auc_score(y, s, max_fpr=0.1, **how)),
    "ndcg": (4, lambda y, s: ndcg_score([y], [s])),
    "ndcg@5": (4, lambda y, s: ndcg_score([y], [s], k=5)),
    "dcg": (4, lambda y, s: dcg_score([y], [s])),
    "dcg@7": (4, lambda y, s: dcg_score([y], [s], k=7)),
}


@pytest.mark.parametrize("name", TWINS)
def test_scores_are_scikit_learns(name):
    grades, twin = TWINS[name]
    reward = pgm.get_reward(name)
    for _ in range(20):
        y, s = problem(grades=grades)
        assert reward(y, s) == pytest.approx(twin(y, s), abs=1e-12)
        if grades == 2:
            w = RNG.lognormal(size=len(y))
            assert reward(y, s, w) == pytest.approx(twin(y, s, sample_weight=w), abs=1e-12)


@pytest.mark.parametrize("max_fpr", [0.03, 0.25, 0.5, 1.0])
def test_partial_areas_are_scikit_learns(max_fpr):
    reward = pgm.get_reward("partial_roc_auc", max_fpr=max_fpr)
    for ties in (False, True):
        y, s = problem(ties=ties)
        expected = roc_auc_score(y, s, max_fpr=max_fpr)
        assert reward(y, s) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["reciprocal_rank", "precision@2", "recall@3", "recall_at_budget"])
def test_tied_scores_are_worth_the_mean_over_their_orders(name):
    reward = pgm.get_reward(name, **({"share": 0.5} if "budget" in name else {}))
    y, s = np.array([0, 1, 0, 1, 1, 0]), np.array([1.0, 1.0, 2.0, 1.0, 0.0, 1.0])
    orders = [o for o in itertools.permutations(range(6)) if (np.diff(s[list(o)]) <= 0.0).all()]
    each = [reward(y[list(o)], -np.arange(6.0)) for o in orders]
    assert reward(y, s) == pytest.approx(np.mean(each), abs=1e-12)


def test_values_by_hand():
    y, s = [0, 1, 0, 1, 1], [5, 4, 3, 2, 1]
    assert pgm.get_reward("precision@2")(y, s) == 0.5
    assert pgm.get_reward("precision@10")(y, s) == pytest.approx(0.3)
    assert pgm.get_reward("recall@4")(y, s) == pytest.approx(2 / 3)
    assert pgm.get_reward("precision@", k=2).name == "precision@2"
    assert pgm.get_reward("recall_at_budget", share=0.4)(y, s) == pytest.approx(1 / 3)
    assert pgm.get_reward("mrr")(y, s) == 0.5


@pytest.mark.parametrize("name", [*TWINS, "reciprocal_rank", "precision@3", "recall@9"])
def test_orders_are_scored_as_scores_are(name):
    """What estimators see of an order is what a person sees of scores, weights included."""
    reward = pgm.get_reward(name)
    y, s = problem(grades=3 if reward.graded else 2, ties=False)
    w = RNG.lognormal(size=len(y)) * (RNG.random(len(y)) < 0.7)
    place = np.argsort(np.where(w > 0.0, -s, np.inf))
    mean = w[w > 0.0].mean()
    found = reward.of_order(tf.constant(1.0 * y[place][None]), tf.constant(w[place][None] / mean))
    assert float(found[0]) == pytest.approx(reward(y, s, w), abs=1e-9)


def test_lists_are_averaged_by_the_weights_of_their_items():
    y, s = RNG.integers(0, 3, [3, 6]), RNG.normal(size=[3, 6])
    reward = pgm.get_reward("ndcg@4")
    assert reward(y, s) == pytest.approx(ndcg_score(y, s, k=4))
    w = np.array([1.0, 2.0, 0.0])
    assert reward(y, s, w) == pytest.approx(ndcg_score(y, s, k=4, sample_weight=w))
    padded = np.concatenate([y, np.full([3, 2], 9)], axis=1), np.pad(s, [(0, 0), (0, 2)])
    assert reward(*padded, np.pad(np.ones([3, 6]), [(0, 0), (0, 2)])) == reward(y, s)


@pytest.mark.parametrize("name", [n for n in RANKINGS if not n.endswith("@")])
def test_a_list_with_nothing_to_find_is_worth_nothing(name):
    assert pgm.get_reward(name)([0, 0, 0], [1.0, 2.0, 3.0]) == 0.0
    if "auc" in name:
        assert pgm.get_reward(name)([1, 1], [1.0, 2.0]) == 0.0


@pytest.mark.parametrize(
    "name", ["average_precision", "ndcg@10", "dcg", "precision@3", "recall@20"]
)
def test_names_come_back(name):
    reward = pgm.get_reward(name)
    assert isinstance(reward, Ranking)
    assert reward.name == name
    assert type(reward).from_config(reward.get_config()) == reward


def test_own_functions_are_called_on_lists():
    own = pgm.rewards.RankingReward(average_precision_score)
    y, s = problem(ties=False)
    w = RNG.lognormal(size=len(y))
    assert own(y, s) == pytest.approx(average_precision_score(y, s))
    assert own(y, s, w) == pytest.approx(average_precision_score(y, s, sample_weight=w))
    with pytest.raises(ValueError, match="takes no sample_weight"):
        pgm.rewards.RankingReward(lambda y, s: 0.0)(y, s, w)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pgm.get_reward("average_precision")([0, 2], [1.0, 2.0]), "must hold 0 and 1"),
        (lambda: pgm.get_reward("ndcg")([0, -1], [1.0, 2.0]), "grades, finite numbers of 0"),
        (lambda: pgm.get_reward("ndcg")([0, 1], [1.0, float("nan")]), "holds NaN"),
        (lambda: pgm.get_reward("roc_auc")([0, 1], [[1.0, 2.0]]), "one score for each"),
        (lambda: pgm.get_reward("roc_auc")([0, 1], [1.0, 2.0], [1.0]), "one value for each item"),
        (lambda: pgm.get_reward("roc_auc")([0, 1], [1.0, 2.0], [1.0, -1.0]), "not negative"),
        (lambda: pgm.get_reward("ndcg@0"), "1 or more, such as 'ndcg@10'; 'ndcg' counts all"),
        (lambda: pgm.get_reward("ndcg@"), "how many places count"),
        (lambda: pgm.get_reward("dcg10"), "did you mean 'dcg'"),
        (lambda: pgm.get_reward("precision@"), r"1 or more, such as 'precision@10'\.$"),
        (lambda: pgm.get_reward("precision@0"), "how many places count"),
        (lambda: pgm.get_reward("precision@@5"), "how many places count"),
        (lambda: pgm.get_reward("recall@x"), "reward='recall@x' must say after the @"),
        (lambda: pgm.get_reward("recall@1.5"), "how many places count"),
        (lambda: pgm.get_reward("ndcg@5", k=3), "leave k= out"),
        (lambda: pgm.get_reward("partial_roc_auc", max_fpr=0.0), "max_fpr must be"),
        (lambda: pgm.get_reward("brier"), "metric of probabilities"),
        (lambda: pgm.get_reward("average_precison"), "did you mean 'average_precision'"),
        (lambda: pgm.DecisionTuner("roc_auc").fit([0.1, 0.9], [0, 1]), "scores a ranking"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("function", "name"),
    [(average_precision_score, "average_precision"), (roc_auc_score, "roc_auc")],
)
def test_metrics_of_scores_are_refused_as_functions_of_labels(function, name):
    with pytest.raises(TypeError, match=rf"Use '{name}', .* or pgm.rewards.RankingReward"):
        pgm.PolicyGradientLoss(function)
