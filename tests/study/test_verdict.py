"""What a comparison says in words, of made-up records."""

import pytest
from study_cases import a_run

from policygrad_metrics.study.overall import all_overall
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.table import summarise
from policygrad_metrics.study.verdict import conclusion, judge

FAMILIES = {
    "majority": "trivial",
    "gradient_boosting": "scikit-learn",
    "cross_entropy": "cross-entropy",
    "policy_gradient": "policy gradient",
    "policy_gradient_pure": "policy gradient",
}
#: What a seed adds to every method, and what it adds to one method only.
LUCK, NOISE = (0.02, -0.01, 0.03, -0.04, 0.0, 0.01), (1, -1, 2, -2, 1, -1)


def runs_of(means, data="air", noise=0.001, **plain):
    """Six runs of each method around its mean; `plain` has other means of default decisions."""
    return [
        a_run(method, seed, mean + luck + noise * turn * place, data, plain=own + luck)
        for place, (method, mean) in enumerate(means.items())
        for own in [plain.get(method, mean)]
        for seed, (luck, turn) in enumerate(zip(LUCK, NOISE, strict=True))
    ]


def table(runs, data="air", **how):
    return summarise(data, "f1", runs, [*FAMILIES], **how)


def verdict(runs, **how):
    return judge(table(runs, **how), FAMILIES)


BEST = {"majority": 0.2, "cross_entropy": 0.6, "gradient_boosting": 0.55, "policy_gradient": 0.7}


def test_a_clear_win_paid_and_is_to_be_used():
    found = verdict(runs_of(BEST))
    assert (found.outcome, found.certain, found.use) == ("paid", True, "policy_gradient")
    assert found.text == (
        "air: training on f1 paid: policy_gradient +0.100 ± 0.006 (Holm's p < 0.001) against "
        "cross_entropy, both with tuned decisions. Use policy_gradient, better than cross_entropy."
    )


def test_a_clear_loss_cost_and_default_decisions_that_say_otherwise_are_told():
    found = verdict(runs_of({**BEST, "policy_gradient": 0.5}, cross_entropy=0.3))
    assert (found.outcome, found.certain, found.use) == ("cost", True, "cross_entropy")
    assert "training on f1 cost: policy_gradient -0.100 ± 0.006 (Holm" in found.text
    assert "; with default decisions it paid: +0.200 ± 0.000 (Holm's p < 0.001)." in found.text
    assert found.text.endswith(
        "Use cross_entropy with a tuned decision: nothing is better beyond chance."
    )


def test_what_lies_within_chance_is_undecided_and_the_highest_mean_is_named():
    found = verdict(runs_of({**BEST, "policy_gradient": 0.61}, noise=0.01))
    assert (found.outcome, found.certain, found.use) == ("undecided", False, "cross_entropy")
    assert "training on f1 neither paid nor cost beyond chance" in found.text
    assert found.difference.low < 0 < found.difference.estimate < found.difference.high
    assert "beyond chance (highest mean: policy_gradient, +0.010 ±" in found.text


def test_trees_that_are_better_still_are_to_be_used():
    found = verdict(runs_of({**BEST, "gradient_boosting": 0.8}))
    assert (found.outcome, found.use) == ("paid", "gradient_boosting")
    assert "Use gradient_boosting (boosted trees), better than cross_entropy: +0.200" in found.text


def test_an_interval_without_holm_s_p_is_no_more_than_probable():
    """Five seeds of a series give a sign-flip p of 2/32 at best."""
    found = verdict([run for run in runs_of(BEST) if run.seed < 5], shares=None)
    assert (found.outcome, found.certain, found.use) == ("paid", False, "policy_gradient")
    assert found.p_holm == 3 * 2 / 32
    assert "training on f1 probably paid" in found.text
    assert "Use policy_gradient, probably better than cross_entropy" in found.text


def test_where_nothing_is_better_than_the_majority_that_is_to_be_used():
    means = {"policy_gradient": 0.6, "cross_entropy": 0.6, "majority": 0.6}
    found = verdict(runs_of(means, noise=0.01))
    assert (found.outcome, found.use) == ("undecided", "majority")
    assert "cross_entropy is not better than it beyond chance" in found.text


@pytest.mark.parametrize(
    ("methods", "words", "use"),
    [
        (["majority", "cross_entropy"], "no method that trains on f1 ran. Use", "cross_entropy"),
        (["policy_gradient"], "cross_entropy did not run, or diverged. Use", "policy_gradient"),
        (
            ["cross_entropy", "policy_gradient_pure"],
            "policy_gradient_pure +0.000 ±",
            "cross_entropy",
        ),
    ],
)
def test_what_is_missing_is_told(methods, words, use):
    means = {method: 0.5 - 0.1 * (method == "majority") for method in methods}
    found = verdict(runs_of(means, noise=0.01))
    assert found.use == use
    assert words in found.text


def test_a_single_run_decides_nothing():
    found = verdict([run for run in runs_of(BEST) if run.seed == 0])
    assert (found.outcome, found.use) == ("undecided", "cross_entropy")
    assert "+0.102 (a single run)" in found.text


def test_a_method_that_diverged_is_not_judged():
    runs = [*runs_of(BEST), Run("air", "policy_gradient", 6, diverged=True)]
    found = verdict(runs)
    assert (found.outcome, found.use) == ("unknown", "cross_entropy")
    assert "policy_gradient, which trains on f1, diverged in 1 runs." in found.text
    gone = [Run("air", method, 0, diverged=True) for method in BEST]
    assert verdict(gone).use is None


def over(means_of):
    runs = [run for data, means in means_of.items() for run in runs_of(means, data)]
    tables = [table(runs, data) for data in means_of]
    found = [judge(one, FAMILIES) for one in tables]
    return conclusion(found, all_overall(tables, runs))


def test_over_few_data_sets_one_line_sums_up_and_each_has_its_own():
    lines = over({"air": BEST, "sea": {**BEST, "policy_gradient": 0.5}})
    assert lines[0] == (
        "Over 2 data sets training on the metric (policy_gradient) paid on 1 (air) and cost on 1 "
        "(sea). Against cross_entropy, tuned decisions, it has the higher mean on 1 and the lower "
        "one on 1, +0.000 on average (Wilcoxon's p over data sets = 1.000, Holm's p = 1.000)."
    )
    assert [line[:5] for line in lines[1:]] == ["air: ", "sea: "]
    assert over({"air": BEST}) == (verdict(runs_of(BEST)).text,)


def test_over_many_data_sets_it_counts_what_to_use():
    trees = {**BEST, "gradient_boosting": 0.9}
    lines = over({"a": BEST, "b": BEST, "c": trees, "d": BEST, "e": trees})
    assert len(lines) == 2
    assert "paid on 5 (a, b, c, d, e) and cost on 0." in lines[0]
    assert lines[1] == (
        "To use: policy_gradient on 3 (a, b, d); gradient_boosting (boosted trees) on 2 (c, e)."
    )


def test_what_is_ahead_over_the_data_sets_together_is_named():
    """Nine wins of nine: p is 2 / 512, times three methods 0.012."""
    means = {str(i): {**BEST, "policy_gradient": 0.62 + 0.001 * i} for i in range(9)}
    lines = over(means)
    assert lines[1] == (
        "Over the data sets together ahead of cross_entropy, tuned decisions: policy_gradient "
        "(+0.024, Holm's p = 0.012)."
    )
    assert not any("together" in line for line in over({"air": BEST, "sea": BEST}))
