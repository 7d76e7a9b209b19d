"""Hypothesis tests and ranks against scipy, enumeration, and the examples of their papers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from policygrad_metrics.study import statistics as pgs

# Demsar (2006), table 6: AUC of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets, and its ranks.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.975, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
VOTING = 12
# The paper ranks voting 4, 1, 2, 3: its two .975 are not equal in the digits that are not printed.
DEMSAR_UNROUNDED = DEMSAR.copy()
DEMSAR_UNROUNDED[VOTING, 2] += 1e-4
# Table 5(a): critical values of the two-tailed Nemenyi test for 2 to 10 classifiers.
NEMENYI = {
    0.95: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
    0.90: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920],
}
# Darwin's maize, crossed minus self-fertilised in eighths of an inch (Fisher 1935, section 21).
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)

few_integers = st.lists(st.integers(-4, 4), min_size=1, max_size=8)


def binomial_slack(chance, trials):
    """Four standard deviations of a share: a correct procedure fails once in 16,000 times."""
    return 4 * math.sqrt(chance * (1 - chance) / trials)


# --- sign flips -------------------------------------------------------------------------------


def test_sign_flip_is_fishers_own_figure():
    # Of 2^15 sums, 863 are at least the 314 observed, and as many at most -314.
    assert pgs.sign_flip(DARWIN, np.zeros(15), seed=0) == (2 * 863 / 2**15, True)


@given(few_integers.filter(lambda d: len(d) >= 2))
@settings(deadline=None, max_examples=30)
def test_sign_flip_is_scipys_permutation_test(differences):
    a, b = np.array(differences, dtype=float), np.zeros(len(differences))
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.sum(x - y), permutation_type="samples", n_resamples=2**20
    )
    p_value, exact = pgs.sign_flip(a, b, seed=0)
    assert exact
    assert p_value == pytest.approx(expected.pvalue, abs=1e-12)


def test_sign_flip_p_values_are_exactly_uniform():
    sizes = 2.0 ** np.arange(7)  # all sums of flips differ
    signs = itertools.product([-1, 1], repeat=7)
    found = sorted(pgs.sign_flip(sizes * np.array(s), np.zeros(7), seed=0)[0] for s in signs)
    assert found == sorted(list(np.arange(2, 129, 2) / 128) * 2)


def test_sign_flip_samples_above_the_limit():
    whole = np.random.default_rng(9).integers(-3, 9, size=24)
    whole[whole == 0] = 1
    chances = {0: 1.0}
    for difference in whole.tolist():
        following: dict[int, float] = {}
        for total, chance in chances.items():
            for moved in (total + difference, total - difference):
                following[moved] = following.get(moved, 0.0) + chance / 2
        chances = following
    exact_p = sum(c for total, c in chances.items() if abs(total) >= abs(whole.sum()))
    p_value, exact = pgs.sign_flip(whole, np.zeros(24), resamples=20_000, seed=1)
    assert not exact
    assert abs(p_value - exact_p) <= binomial_slack(exact_p, 20_000) + 1 / 20_001
    assert p_value == pgs.sign_flip(whole, np.zeros(24), resamples=20_000, seed=1)[0]
    assert p_value != pgs.sign_flip(whole, np.zeros(24), resamples=20_000, seed=2)[0]


def test_sign_flip_limits():
    ones = np.ones(40)
    assert pgs.sign_flip(ones, 0 * ones, resamples=999, seed=0) == (1 / 1000, False)
    assert pgs.sign_flip(ones[:16], 0 * ones[:16], seed=0) == (2 / 2**16, True)
    assert not pgs.sign_flip(ones[:17], 0 * ones[:17], seed=0)[1]
    some = np.where(np.arange(40) < 5, 1.0, 0.0)
    assert pgs.sign_flip(some, 0 * ones, seed=0) == (2 / 2**5, True)
    assert pgs.sign_flip(ones, ones, seed=0) == (1.0, True)


def test_differences_that_tie_as_decimals_tie():
    # .3 - .2 < .8 - .7 in floating point; as decimals they cancel.
    assert 0.3 - 0.2 != 0.8 - 0.7
    assert pgs.sign_flip([0.3, 0.7], [0.2, 0.8], seed=0) == (1.0, True)
    found = pgs.wilcoxon([0.3, 0.7], [0.2, 0.8])
    assert (found.rank_sum_a, found.rank_sum_b, found.p_value) == (1.5, 1.5, 1.0)
    # Differences of .1, -.1 and .5: two of the eight sums are nearer to zero than .5.
    a, b = [1e5 + 0.1, 2e3, 0.5], [1e5, 2e3 + 0.1, 0.0]
    assert pgs.sign_flip(a, b, seed=0) == (0.75, True)


@given(few_integers)
@settings(deadline=None)
def test_sign_flip_of_tenths_is_that_of_integers(differences):
    zeros = np.zeros(len(differences))
    tenths = np.array(differences) / 10
    assert pgs.sign_flip(tenths, zeros, seed=0) == pgs.sign_flip(differences, zeros, seed=0)


# --- Wilcoxon, Nadeau-Bengio, Holm ---------------------------------------------------------------


def test_wilcoxon_on_demsars_table_2():
    # The paper finds 93 and 12 with the zeros' ranks, 1.5 + 1.5, shared among both sums.
    found = pgs.wilcoxon(DEMSAR[:, 1], DEMSAR[:, 0])
    assert (found.rank_sum_a, found.rank_sum_b) == (93 - 1.5, 12 - 1.5)
    assert found.exact
    assert found.p_value < 0.05


def test_wilcoxon_without_ties_is_scipys_exact_test():
    generator = np.random.default_rng(12)
    for size in (1, 2, 5, 13, 30):
        a, b = generator.normal(size=size), generator.normal(size=size)
        found = pgs.wilcoxon(a, b)
        rank_sum, p_value = stats.wilcoxon(a, b, method="exact")
        assert found.p_value == pytest.approx(p_value, rel=1e-9)
        assert min(found.rank_sum_a, found.rank_sum_b) == rank_sum


@given(few_integers.filter(any))
@settings(deadline=None, max_examples=50)
def test_wilcoxon_with_ties_and_zeros_is_enumeration(differences):
    sizes = stats.rankdata(np.abs(differences))
    signs = np.sign(differences)
    kept = sizes[signs != 0]
    excess = abs(np.sum(sizes * signs))
    flips = np.array(list(itertools.product([-1, 1], repeat=kept.size)))
    expected = np.mean(np.abs(flips @ kept) >= excess)
    found = pgs.wilcoxon(differences, [0] * len(differences))
    assert found.p_value == pytest.approx(expected, abs=1e-12)


def test_wilcoxon_above_the_limit_is_scipys_approximation():
    differences = np.random.default_rng(13).integers(-20, 22, size=700)
    zeros = np.zeros(700)
    _, p_value = stats.wilcoxon(
        differences, zeros, zero_method="pratt", correction=False, method="asymptotic"
    )
    found = pgs.wilcoxon(differences, zeros)
    assert not found.exact
    assert found.p_value == pytest.approx(p_value, rel=1e-9)


def test_wilcoxon_exact_and_approximate_meet_at_the_limit():
    # The sum has a standard deviation of sqrt(500^3 / 12) = 3,200: one step of it is 1.2e-4 of p.
    a = np.random.default_rng(14).normal(size=500)
    found = pgs.wilcoxon(a, np.zeros(500))
    _, p_value = np.asarray(stats.wilcoxon(a, correction=False, method="asymptotic"))
    assert found.exact
    assert 0.1 < p_value < 0.9
    assert found.p_value == pytest.approx(p_value, abs=2.5e-4)


def test_wilcoxon_of_equals():
    assert pgs.wilcoxon([1, 2], [1, 2]) == pgs.SignedRankTest(0.0, 0.0, 1.0, True)


def test_nadeau_bengio_on_scikit_learns_example():
    # "Statistical comparison of models using grid search": 10 x 10-fold, t 2.611 becomes .750, and
    # the one-sided p .005 becomes .227.
    raw = np.random.default_rng(15).normal(size=100)
    differences = (raw - raw.mean()) / raw.std(ddof=1) + 2.611 / math.sqrt(100)
    found = pgs.nadeau_bengio(differences, 0.1, 0.9)
    assert round(found.statistic, 3) == 0.750
    assert round(found.p_value / 2, 3) == 0.227


def test_nadeau_bengio_is_a_shrunken_t_test():
    differences = np.random.default_rng(16).normal(0.3, size=15)
    plain, _ = np.asarray(stats.ttest_1samp(differences, 0.0))
    found = pgs.nadeau_bengio(differences, 0.2, 0.6, level=0.9)
    statistic = plain / math.sqrt(1 + 15 / 3)
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.cdf(-abs(statistic), 14), rel=1e-12)
    at_bound = pgs.nadeau_bengio(differences - found.difference.low, 0.2, 0.6)
    assert at_bound.p_value == pytest.approx(0.1, rel=1e-9)


def test_nadeau_bengio_rejects_at_its_level_where_splits_overlap():
    # Differences correlated by test / (test + train) = .25: the corrected test is exact there.
    trials, splits = 1500, 8
    generator = np.random.default_rng(17)
    shared = math.sqrt(0.25) * generator.normal(size=(trials, 1))
    differences = shared + math.sqrt(0.75) * generator.normal(size=(trials, splits))
    rejected = np.mean([pgs.nadeau_bengio(d, 0.25, 0.75).p_value <= 0.1 for d in differences])
    assert abs(rejected - 0.1) <= binomial_slack(0.1, trials)
    _, plain = np.asarray(stats.ttest_1samp(differences, 0.0, axis=1))
    assert np.mean(plain <= 0.1) > 0.1 + 2 * binomial_slack(0.1, trials)


@pytest.mark.parametrize(
    ("value", "statistic", "p"), [(0, 0, 1), (2, math.inf, 0), (-2, -math.inf, 0)]
)
def test_nadeau_bengio_of_equal_differences(value, statistic, p):
    found = pgs.nadeau_bengio([value] * 4, 0.25, 0.75)
    assert (found.statistic, found.p_value) == (statistic, p)
    assert (found.difference.low, found.difference.high) == (value, value)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(deadline=None)
def test_holm_is_the_closed_bonferroni_test(p_values):
    # p_i adjusted is the largest Bonferroni p of all joint hypotheses that contain hypothesis i.
    indices = range(len(p_values))
    subsets = [s for n in indices for s in itertools.combinations(indices, n + 1)]
    expected = [
        max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in subsets if i in s)
        for i in indices
    ]
    np.testing.assert_allclose(pgs.holm(p_values), expected, rtol=1e-12)


def test_holm_on_demsars_example():
    assert (pgs.holm([0.016, 0.019, 0.607]) <= 0.05).tolist() == [True, True, False]


# --- ranks ---------------------------------------------------------------------------------------


def test_average_ranks_on_demsars_table_6():
    found = pgs.average_ranks(DEMSAR_UNROUNDED)
    assert np.round(found, 3).tolist() == [3.143, 2.000, 2.893, 1.964]
    # As printed, the tie on voting moves half a rank of one data set.
    tied = pgs.average_ranks(DEMSAR)
    np.testing.assert_allclose(tied - found, [0, 0, 0.5 / 14, -0.5 / 14], atol=1e-12)


def test_friedman_by_permutation_is_the_share_of_all_orders():
    table = pgs.ranks([[0.9, 0.7, 0.5], [0.8, 0.8, 0.1], [0.6, 0.7, 0.2]])
    orders = [list(itertools.permutations(row)) for row in table]
    spread = [np.square(np.sum(rows, axis=0)).sum() for rows in itertools.product(*orders)]
    share = np.mean(np.array(spread) >= np.square(table.sum(axis=0)).sum())
    assert pgs.friedman_permutation(table, seed=0) == pytest.approx(share, abs=1e-12)
    found = pgs.friedman_permutation(table, resamples=200, seed=0)
    # Four standard errors of a share of 200 draws.
    assert found == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 200))
    assert found == pgs.friedman_permutation(table, resamples=200, seed=0)


def test_friedman_by_permutation_agrees_with_chi_square_where_there_are_many_data_sets():
    table = pgs.ranks(np.random.default_rng(3).normal(size=(60, 4)))
    found = pgs.friedman_permutation(table, seed=1)
    expected = stats.friedmanchisquare(*table.T).pvalue
    assert 0.05 < expected < 0.95
    # Four standard errors of a share of 9,999 draws are at most 0.02.
    assert found == pytest.approx(expected, abs=0.02)


def test_diverged_methods_rank_last_and_share():
    nan = math.nan
    found = pgs.ranks([[0.1, nan, 0.3, nan], [nan, nan, nan, nan]])
    assert found.tolist() == [[2, 3.5, 1, 3.5], [2.5] * 4]


@pytest.mark.parametrize("level", [0.95, 0.90])
def test_critical_difference_is_demsars_table_5(level):
    for K, published in zip(range(2, 11), NEMENYI[level], strict=True):
        N = K * (K + 1)  # then CD = q / sqrt(6)
        found = pgs.critical_difference(K, N, level) * math.sqrt(6)
        # One unit of the table's last digit: q was rounded before it was divided by sqrt 2.
        assert found == pytest.approx(published, abs=1.01e-3)


def test_critical_difference_on_demsars_example():
    assert round(pgs.critical_difference(4, 14), 2) == 1.25
    assert round(pgs.critical_difference(4, 14, 0.90), 2) == 1.12


def test_cliques_on_demsars_figure_1():
    # At .10 plain C4.5 is worse than +m and +m+cf, and +cf belongs to either group; at .05 all tie.
    averages = pgs.average_ranks(DEMSAR_UNROUNDED)
    assert pgs.cliques(averages, pgs.critical_difference(4, 14, 0.90)) == ((3, 1, 2), (2, 0))
    assert pgs.cliques(averages, pgs.critical_difference(4, 14, 0.95)) == ((3, 1, 2, 0),)


@given(st.lists(st.integers(2, 14), min_size=1, max_size=7), st.integers(1, 8))
@settings(deadline=None)
def test_cliques_are_the_maximal_groups(halves, cd):
    indices = range(len(halves))
    together = [
        set(s)
        for n in range(2, len(halves) + 1)
        for s in itertools.combinations(indices, n)
        if max(halves[i] for i in s) - min(halves[i] for i in s) < cd
    ]
    expected = [s for s in together if not any(s < other for other in together)]
    found = pgs.cliques(halves, cd)
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
    for group in found:
        assert [halves[i] for i in group] == sorted(halves[i] for i in group)
    assert [halves[g[0]] for g in found] == sorted(halves[g[0]] for g in found)


def test_nemenyi_agrees_with_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs")
    p_values = np.asarray(posthocs.posthoc_nemenyi_friedman(DEMSAR_UNROUNDED))
    averages = pgs.average_ranks(DEMSAR_UNROUNDED)
    gaps = np.abs(np.subtract.outer(averages, averages))
    for i, j in itertools.combinations(range(4), 2):
        # At the level 1 - p the critical difference is the gap itself.
        if p_values[i, j] < 0.5:
            found = pgs.critical_difference(4, 14, 1 - p_values[i, j])
            assert found == pytest.approx(gaps[i, j], rel=1e-6)
    assert p_values[0, 3] == p_values[np.triu_indices(4, 1)].min()
