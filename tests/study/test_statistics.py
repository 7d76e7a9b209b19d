"""Intervals and comparisons against scipy, enumeration, simulation; what all statistics refuse."""

import itertools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from policygrad_metrics.study import statistics as pgs

few_integers = st.lists(st.integers(-4, 4), min_size=1, max_size=8)


def binomial_slack(chance, trials):
    """Four standard deviations of a share: a correct procedure fails once in 16,000 times."""
    return 4 * math.sqrt(chance * (1 - chance) / trials)


def assert_quantiles(interval, population, resamples):
    """The bounds are quantiles of `resamples` draws from the enumerated `population`."""
    tail = (1 - interval.level) / 2
    slack = binomial_slack(tail, resamples)
    ordered = np.sort(population)
    for bound, chance in ((interval.low, tail), (interval.high, 1 - tail)):
        least, most = np.quantile(ordered, [chance - slack, chance + slack], method="inverted_cdf")
        assert least - 1e-12 <= bound <= most + 1e-12


# --- intervals ---------------------------------------------------------------------------------


def test_format():
    assert pgs.Interval(0.5, 0.25, 0.75, 0.95).format(2) == "0.50 [0.25, 0.75]"
    assert pgs.Interval(-1e-9, -0.5, math.nan, 0.95).format(1) == "0.0 [-0.5, -]"


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_mean_interval_is_scipys(level):
    values = np.random.default_rng(0).normal(size=9)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    found = pgs.mean_interval(values, level)
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], rtol=1e-12)
    assert found.estimate == values.mean()
    assert found.level == level


def test_mean_interval_covers_at_its_level():
    trials, level = 1500, 0.9
    samples = np.random.default_rng(1).normal(loc=2.0, size=(trials, 4))
    intervals = [pgs.mean_interval(sample, level) for sample in samples]
    covered = np.mean([i.low <= 2.0 <= i.high for i in intervals])
    assert abs(covered - level) <= binomial_slack(level, trials)


def test_interquartile_interval_is_enumeration_within_data_sets():
    # Good runs on one set are bad runs on the other: drawing whole rows would be too narrow.
    scores = np.array([[0.0, 1.1, 5.0], [0.4, 0.5, 5.0], [1.0, 0.1, 5.0]])
    columns = [list(itertools.product(column, repeat=3)) for column in scores.T]
    studies = np.array(list(itertools.product(*columns))).reshape(-1, scores.size)
    population = stats.trim_mean(studies, 0.25, axis=1)
    found = pgs.interquartile_mean_interval(scores, level=0.9, resamples=20_000, seed=7)
    assert found.estimate == pytest.approx(stats.trim_mean(scores.ravel(), 0.25))
    assert_quantiles(found, population, 20_000)


def test_resampling_in_blocks_fills_every_draw():
    # 2,000 resamples of 64 x 64 scores do not fit into one block.
    scores = np.random.default_rng(8).normal(5.0, size=(64, 64))
    found = pgs.interquartile_mean_interval(scores, resamples=2000, seed=0)
    assert found.low < found.estimate < found.high
    assert found.high - found.low < 8 / 64  # four standard errors of a mean of 64^2 values, doubled


@pytest.mark.parametrize(
    "interval",
    [
        pgs.mean_interval([0.7]),
        pgs.interquartile_mean_interval([[0.7, 0.7]], seed=0),
        pgs.probability_of_improvement([0.7], [0.9], seed=0),
    ],
)
def test_one_run_has_no_interval(interval):
    assert math.isfinite(interval.estimate)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


# --- comparisons ------------------------------------------------------------------------------


def test_pairing_removes_what_the_pairs_share():
    shared = np.random.default_rng(11).normal(scale=10.0, size=10)
    assert pgs.sign_flip(shared + 0.01, shared, seed=0) == (2 / 2**10, True)
    assert pgs.probability_of_improvement(shared + 0.01, shared, seed=0).estimate < 0.6


@given(few_integers, few_integers)
@settings(deadline=None, max_examples=50)
def test_probability_of_improvement_is_mann_whitney(a, b):
    statistic = stats.mannwhitneyu(a, b, method="asymptotic").statistic if a != b else None
    expected = 0.5 if statistic is None else statistic / (len(a) * len(b))
    found = pgs.probability_of_improvement(a, b, resamples=100, seed=0)
    assert found.estimate == pytest.approx(expected, abs=1e-12)


def test_probability_of_improvement_is_enumeration_over_data_sets():
    a = np.array([[1.0, 5.0], [4.0, 2.0]])
    b = np.array([[2.0, 3.0], [3.0, 1.0], [4.0, 5.0]])
    per_set = [
        [
            np.mean([(x > y) + (x == y) / 2 for x in drawn_a for y in drawn_b])
            for drawn_a in itertools.product(a[:, d], repeat=2)
            for drawn_b in itertools.product(b[:, d], repeat=3)
        ]
        for d in range(2)
    ]
    population = np.add.outer(per_set[0], per_set[1]).ravel() / 2
    found = pgs.probability_of_improvement(a, b, level=0.9, resamples=20_000, seed=3)
    assert found.estimate == pytest.approx(population.mean(), abs=1e-12)
    assert_quantiles(found, population, 20_000)


# --- what is refused -----------------------------------------------------------------------------

NAN, INF = math.nan, math.inf
NONE: Any = None
NOT_WHOLE: Any = 2.5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pgs.mean_interval([]), "values must not be empty"),
        (lambda: pgs.mean_interval([1, INF]), "values must be finite; got 1 infinite of 2"),
        (lambda: pgs.mean_interval([1, NAN]), "values must not contain NaN; got 1 of 2"),
        (lambda: pgs.mean_interval([[1, 2]]), "values must have 1 dimension"),
        (lambda: pgs.mean_interval(["a"]), "values must be numbers"),
        (lambda: pgs.mean_interval([1, 2], 0.05), "level must be a confidence"),
        (lambda: pgs.mean_interval([1, 2], 95), "level must be a confidence"),
        (lambda: pgs.interquartile_mean_interval([[1, 2]], resamples=9, seed=0), "resamples must"),
        (lambda: pgs.interquartile_mean_interval([[1, 2]], seed=NONE), "seed must be a whole"),
        (lambda: pgs.sign_flip([1, 2], [0, 0], seed=-1), "seed must be a whole number"),
        (lambda: pgs.interquartile_mean_interval([[]], seed=0), "values must not be empty"),
        (lambda: pgs.interquartile_mean_interval([1, 2], seed=0), "values must have 2 dimension"),
        (lambda: pgs.interquartile_mean_interval([[1, 2], [3]], seed=0), "values must be numbers"),
        (lambda: pgs.sign_flip([1, 2], [1], seed=0), "same length; got 2 and 1"),
        (lambda: pgs.sign_flip([1, NAN], [1, 2], seed=0), "a must not contain NaN"),
        (lambda: pgs.wilcoxon([1], [INF]), "b must be finite"),
        (lambda: pgs.probability_of_improvement([[1, 2]], [[1]], seed=0), "same data sets"),
        (lambda: pgs.probability_of_improvement(1, [1], seed=0), "a must have 2 dimension"),
        (lambda: pgs.sign_flip([], [], seed=0), "a must not be empty"),
        (lambda: pgs.wilcoxon([[1, 2]], [[1, 2]]), "Average over seeds"),
        (lambda: pgs.wilcoxon([1, 2], [1, 2, 3]), "same length; got 2 and 3"),
        (lambda: pgs.nadeau_bengio([1], 0.1, 0.9), "at least two"),
        (lambda: pgs.nadeau_bengio([1, 2], 10, 90), "add up to at most 1"),
        (lambda: pgs.nadeau_bengio([1, 2], 0.0, 0.9), "must be positive"),
        (lambda: pgs.nadeau_bengio([1, 2], NAN, 0.9), "must be positive"),
        (lambda: pgs.holm([0.1, 1.1]), "p_values must lie between 0 and 1"),
        (lambda: pgs.holm([NAN]), "p_values must not contain NaN"),
        (lambda: pgs.ranks([[1, INF]]), "scores must be finite"),
        (lambda: pgs.average_ranks([1, 2]), "scores must have 2 dimension"),
        (lambda: pgs.friedman_permutation([[1, 2]], seed=0), "at least 2 data sets"),
        (
            lambda: pgs.friedman_permutation([[1, 2], [0.9, 0.8]], seed=0),
            r"got \[0.9, 0.8\] in row 1",
        ),
        (
            lambda: pgs.friedman_permutation([[1, 2], [NAN, 1]], seed=0),
            "ranks must not contain NaN",
        ),
        (lambda: pgs.critical_difference(1, 10), "n_methods must be a whole number, 2 or more"),
        (lambda: pgs.critical_difference(3, NOT_WHOLE), "n_datasets must be a whole number"),
        (lambda: pgs.critical_difference(3, 10, 0.05), "Write .95"),
        (lambda: pgs.cliques([1, 2], 0.0), "cd must be positive"),
        (lambda: pgs.cliques([1, NAN], 1.0), "average_ranks must not contain NaN"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_importing_loads_neither_tensorflow_nor_scipy():
    code = (
        "import sys, policygrad_metrics.study.statistics;"
        "print([m for m in ('tensorflow', 'keras', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
