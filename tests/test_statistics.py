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


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_bootstrap_interval_covers_at_its_level(method):
    # With 200 values the bootstrap's own error, of the order of 1/200, is below the binomial one.
    trials, level = 500, 0.9
    samples = np.random.default_rng(2).normal(size=(trials, 200))
    intervals = [
        pgs.bootstrap_interval(sample, level=level, resamples=500, seed=i, method=method)
        for i, sample in enumerate(samples)
    ]
    covered = np.mean([i.low <= 0 <= i.high for i in intervals])
    assert abs(covered - level) <= binomial_slack(level, trials) + 1 / 200


def test_percentile_bootstrap_is_enumeration():
    values = np.array([0.0, 1.0, 10.0, 12.0, 30.0])
    population = [np.mean(draw) for draw in itertools.product(values, repeat=5)]
    found = pgs.bootstrap_interval(values, resamples=20_000, seed=3, method="percentile")
    assert_quantiles(found, population, 20_000)


def test_bca_corrects_skewness_upwards():
    # For a mean of right-skewed values BCa moves both bounds to the right.
    values = np.random.default_rng(4).exponential(size=30)
    bca = pgs.bootstrap_interval(values, seed=0)
    plain = pgs.bootstrap_interval(values, seed=0, method="percentile")
    assert bca.low > plain.low
    assert bca.high > plain.high


def test_bca_falls_back_to_percentiles_where_undefined():
    values = [1.0, 2.0, 2.0, 2.0, 9.0]  # the median stays 2 whichever value is left out
    found = pgs.bootstrap_interval(values, np.median, seed=5)
    expected = pgs.bootstrap_interval(values, np.median, seed=5, method="percentile")
    assert found == expected
    assert found.low < found.high


def test_bootstrap_without_axis_and_with_agree():
    values = np.random.default_rng(6).normal(size=12)
    vectorised = pgs.bootstrap_interval(values, pgs.interquartile_mean, resamples=300, seed=1)
    looped = pgs.bootstrap_interval(
        values, lambda sample: stats.trim_mean(sample, 0.25), resamples=300, seed=1
    )
    np.testing.assert_allclose(
        [vectorised.estimate, vectorised.low, vectorised.high],
        [looped.estimate, looped.low, looped.high],
        rtol=1e-12,
    )


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
@settings(deadline=None)
def test_interquartile_mean_is_the_trimmed_mean(values):
    assert float(pgs.interquartile_mean(values)) == pytest.approx(
        stats.trim_mean(values, 0.25), rel=1e-12, abs=1e-9
    )


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
        pgs.bootstrap_interval([0.7], seed=0),
        pgs.interquartile_mean_interval([[0.7, 0.7]], seed=0),
        pgs.paired_difference([0.9], [0.2], seed=0).effect,
        pgs.probability_of_improvement([0.7], [0.9], seed=0),
    ],
)
def test_one_run_has_no_interval(interval):
    assert math.isfinite(interval.estimate)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_equal_values_have_no_width():
    expected = pgs.Interval(0.7, 0.7, 0.7, 0.95)
    assert pgs.bootstrap_interval([0.7, 0.7], np.median, seed=0) == expected


# --- comparisons ------------------------------------------------------------------------------


def test_paired_difference_puts_its_parts_together():
    generator = np.random.default_rng(10)
    b = generator.normal(size=12)
    a = b + generator.normal(0.5, size=12)
    found = pgs.paired_difference(a, b, level=0.9, resamples=500, seed=4)
    assert found.N == 12
    assert found.effect.estimate == pytest.approx(np.mean(a) - np.mean(b), abs=1e-12)
    assert found.effect.low < found.effect.estimate < found.effect.high
    assert (found.p_value, found.exact) == pgs.sign_flip(a, b, seed=0)
    assert found.improvement == pgs.paired_improvement(a, b, 0.9)
    turned = pgs.paired_difference(b, a, level=0.9, resamples=500, seed=4)
    assert turned.effect.estimate == -found.effect.estimate
    assert turned.p_value == found.p_value
    assert turned.improvement.estimate == pytest.approx(1 - found.improvement.estimate)
    assert found == pgs.paired_difference(a, b, level=0.9, resamples=500, seed=4)
    other = pgs.paired_difference(a, b, level=0.9, resamples=500, seed=5)
    assert (other.effect.low, other.effect.high) != (found.effect.low, found.effect.high)


def test_pairing_removes_what_the_pairs_share():
    shared = np.random.default_rng(11).normal(scale=10.0, size=10)
    paired = pgs.paired_difference(shared + 0.01, shared, seed=0)
    assert paired.effect.format(4) == "0.0100 [0.0100, 0.0100]"
    assert paired.p_value == 2 / 2**10
    assert pgs.probability_of_improvement(shared + 0.01, shared, seed=0).estimate < 0.6


@pytest.mark.parametrize(("won", "N"), [(0, 5), (3, 10), (10, 10), (1, 2)])
def test_paired_improvement_is_wilsons_interval(won, N):
    expected = stats.binomtest(won, N).proportion_ci(0.95, method="wilson")
    found = pgs.paired_improvement([1] * won + [-1] * (N - won), [0] * N)
    np.testing.assert_allclose(
        [found.estimate, found.low, found.high], [won / N, expected.low, expected.high], atol=1e-12
    )
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_paired_ties_count_one_half():
    assert pgs.paired_improvement([1, 2, 3, 4], [1, 2, 0, 9]).estimate == 0.5
    assert pgs.paired_improvement([1, 2], [1, 1]).estimate == 0.75


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
        (lambda: pgs.bootstrap_interval([1, 2], resamples=9, seed=0), "resamples must be"),
        (lambda: pgs.bootstrap_interval([1, 2], seed=NONE), "seed must be an integer"),
        (lambda: pgs.bootstrap_interval([1, 2], seed=-1), "seed must be an integer"),
        (lambda: pgs.bootstrap_interval([1, 2], seed=0, method="bcaa"), "did you mean 'bca'"),
        (lambda: pgs.interquartile_mean([]), "values must not be empty"),
        (lambda: pgs.interquartile_mean_interval([1, 2], seed=0), "values must have 2 dimension"),
        (lambda: pgs.interquartile_mean_interval([[1, 2], [3]], seed=0), "values must be numbers"),
        (lambda: pgs.paired_difference([1, 2], [1], seed=0), "same length; got 2 and 1"),
        (lambda: pgs.paired_difference([1, NAN], [1, 2], seed=0), "a must not contain NaN"),
        (lambda: pgs.paired_improvement([1], [INF]), "b must be finite"),
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
        (lambda: pgs.friedman([[1, 2]]), "at least 2 data sets"),
        (lambda: pgs.friedman([[1, 2], [0.9, 0.8]]), r"got \[0.9, 0.8\] in row 1"),
        (lambda: pgs.friedman([[1, 2], [NAN, 1]]), "ranks must not contain NaN"),
        (lambda: pgs.critical_difference(1, 10), "n_methods must be an integer of at least 2"),
        (lambda: pgs.critical_difference(3, NOT_WHOLE), "n_datasets must be an integer"),
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
