"""Comparisons under constraints: what tuned decisions keep, how methods are ranked, and errors."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score
from study_cases import a_run, refusal

import policygrad_metrics as pgm
from policygrad_metrics.air.settings import StationFile, forecast_settings
from policygrad_metrics.cli import main as cli
from policygrad_metrics.data import load
from policygrad_metrics.study.best import best_run
from policygrad_metrics.study.comparison import compare
from policygrad_metrics.study.constrained import broken_by, read_constraints
from policygrad_metrics.study.evaluate import Outcome, Scorer, evaluate_trials
from policygrad_metrics.study.overall import overall
from policygrad_metrics.study.pairs import PairMatrix
from policygrad_metrics.study.plan import plan, protocol
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.settings import StudySettings, directory_name
from policygrad_metrics.study.table import score_grid, summarise
from policygrad_metrics.study.train import task_info, train_job
from policygrad_metrics.study.verdict import judge

FLOOR = ("precision>=0.8",)
FAMILIES = {
    "majority": "trivial",
    "cross_entropy": "cross-entropy",
    "policy_gradient": "policy gradient",
}


def asked(**more):
    fields = {"data": ("breast_cancer",), "methods": ("cross_entropy",), "seeds": 2, "epochs": 3}
    return StudySettings(**{**fields, "hidden": (8,), **more})


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "task", "names", "broken"),
    [
        ("precision>=0.9", "binary", "ab", 0.9 - 4 / 6),
        ("recall[a] >= 0.8", "binary", "ab", 0.8 - 3 / 5),
        ("false_positive_rate<=0.1", "binary", "ab", 2 / 5 - 0.1),
        ("recall[10]>=0.8", "multiclass", ("9", "10", "11"), 0.8 - 2 / 5),
        ("coverage[c]<=0.5", "ordinal", "abc", 5 / 15 - 0.5),
        ("accuracy>=0.9", "multilabel", "ab", None),
        ("recall[b]>=0.9", "multilabel", "ab", 0.9 - 1 / 3),
    ],
)
def test_what_a_constraint_is_broken_by_is_the_distance_of_its_rate(text, task, names, broken):
    counts = {
        "binary": [[3, 2], [1, 4]],
        "multiclass": [[4, 1, 0], [1, 2, 2], [0, 1, 4]],
        "ordinal": [[4, 1, 0], [1, 3, 1], [0, 1, 4]],
        "multilabel": [[[5, 0], [0, 1]], [[2, 1], [2, 1]]],
    }[task]
    if broken is None:
        with pytest.raises(ValueError, match="accuracy"):
            read_constraints([text], task, names)
        return
    found = read_constraints([text], task, list(names))
    assert broken_by(found, counts) == pytest.approx(broken, abs=1e-11)


def test_a_rate_at_its_bound_is_kept_and_the_worst_constraint_counts():
    found = read_constraints(["precision>=0.7", "recall>=0.7"], "binary", ["a", "b"])
    assert broken_by(found, [[0, 3], [0, 7]]) == 0.0
    assert broken_by(found, [[0, 3], [7, 7]]) == pytest.approx(0.2)
    assert read_constraints((), "binary", ["a", "b"]) is None
    assert broken_by(None, [[1, 0], [0, 1]]) is None


@pytest.mark.parametrize(
    ("data", "text", "message"),
    [
        ("iris", "precision>=0.9", r"'iris' .*scores class 1 of two classes.*precision_macro"),
        ("iris", "recall[rose]>=0.9", "not known; the classes are setosa, versicolor, virginica"),
        ("iris", "recall_gap<=0.1", r"groups of examples.*PolicyGradientLoss\(subject_to="),
        ("iris", "coverage<=0.1", r"in brackets, coverage\[setosa\]<=0.1"),
        ("iris", "cohen_kappa_quadratic>=0.5", "order"),
        ("iris", "accuracy[setosa]>=0.5", "needs a rate of one class"),
        ("iris", "accuracy>0.5", "Write 'accuracy>=0.5'"),
        ("iris", "accuracy>=1.5", "accuracy is at most 1"),
        ("multilabel", "recall_macro>=0.5", "needs a reward of confusion counts"),
        ("multilabel:f1_macro", "coverage[label 1]<=0.5", "label columns"),
    ],
)
def test_what_does_not_fit_a_data_set_is_refused_before_any_run(data, text, message):
    settings = asked(data=(data,), subject_to=(text,))
    with pytest.raises(ValueError, match=message):
        plan(settings, settings.datasets())


@pytest.mark.parametrize("given", ["precision>=0.9", ["precision>=0.9"], FLOOR * 2])
def test_settings_want_different_texts(given):
    with pytest.raises(ValueError, match="subject_to must"):
        StudySettings(subject_to=given)


def test_forecasts_and_ways_of_tuning_that_know_no_constraints_are_refused():
    with pytest.raises(ValueError, match="subject_to"):
        forecast_settings(StationFile("air.csv"), subject_to=("accuracy>=0.5",))
    settings = asked(subject_to=FLOOR, methods=("cross_entropy", "cross_entropy_frank_wolfe"))
    with pytest.raises(ValueError, match=r"cross_entropy_frank_wolfe.*under constraints"):
        plan(settings, settings.datasets())


def test_the_command_reads_what_it_prints(capsys):
    texts = ("precision>=0.9", "recall[a,b]>=0.5", "coverage<=0.5")
    words = ["--subject-to", 'precision>=0.9,"recall[a,b]>=0.5"', "--subject-to", "coverage<=0.5"]
    options = cli.build_parser().parse_args(["compare", "--data", "iris", *words])
    settings = cli.read_settings(options)
    assert settings.subject_to == texts
    assert (
        """--subject-to 'precision>=0.9,"recall[a,b]>=0.5",coverage<=0.5'""" in settings.command()
    )
    told = refusal(["compare", "--data", "iris", "--subject-to", "precision>=0.9"], capsys)
    assert "'iris'" in told
    assert "(--subject-to): the constraint 'precision >= 0.9' of subject_to does not fit" in told


def test_constraints_are_part_of_what_runs_of_a_directory_share():
    plain, floored = asked(), asked(subject_to=FLOOR)
    assert "subject_to" not in plain.fixed()  # runs of earlier versions go on
    assert floored.fixed()["subject_to"] == list(FLOOR)
    data = [load("breast_cancer")]
    assert directory_name(plain, data) != directory_name(floored, data)
    assert any("subject to precision>=0.8" in line for line in protocol(floored))
    assert not any("subject to" in line for line in protocol(plain))


# --- decisions ------------------------------------------------------------------------------------


def chances(N, seed):
    rng = np.random.default_rng(seed)
    y = (rng.random(N) < 0.3).astype(int)
    return 1 / (1 + np.exp(-(1.5 * rng.normal(size=N) + 2.5 * y - 2.0))), y


def test_the_tuned_decision_keeps_the_floor_by_a_margin_and_the_test_part_is_measured():
    (p, y), (q, t) = chances(400, 0), chances(300, 1)
    constraints = read_constraints(FLOOR, "binary", ["no", "yes"])
    scorer = Scorer.of("recall", "binary", 2, constraints=constraints)
    found = evaluate_trials(scorer, "arg_max", [Outcome(p, q)], y, t)
    tuner = pgm.DecisionTuner("recall", subject_to=FLOOR, margin="standard_error").fit(p, y)
    a = tuner.predict(q)
    assert found["decision"] == tuner.rule_.describe()
    assert found["tuned"] == pytest.approx(recall_score(t, a))
    assert found["broken_tuned"] == pytest.approx(0.8 - precision_score(t, a))
    assert found["broken_plain"] == pytest.approx(0.8 - precision_score(t, q > 0.5))
    assert found["kept"] is True


def test_of_trials_one_that_keeps_the_floor_counts_and_of_others_the_nearest():
    p, y = chances(400, 0)
    rng = np.random.default_rng(2)
    noise, some = rng.random(400), np.clip(0.5 * p + 0.3 * rng.random(400), 0, 1)
    constraints = read_constraints(FLOOR, "binary", ["no", "yes"])
    scorer = Scorer.of("recall", "binary", 2, constraints=constraints)
    found = evaluate_trials(scorer, "arg_max", [Outcome(noise, p), Outcome(p, p)], y, y)
    assert (found["trial_tuned"], found["kept"]) == (1, True)
    strict = read_constraints(["precision>=0.999"], "binary", ["no", "yes"])
    scorer = dataclasses.replace(scorer, constraints=strict)
    found = evaluate_trials(scorer, "arg_max", [Outcome(noise, p), Outcome(some, p)], y, y)
    assert (found["trial_tuned"], found["kept"]) == (1, False)


def test_the_best_of_two_methods_is_one_that_keeps_the_constraints():
    high = a_run("high", score=0.9, broken_plain=0.1, broken_tuned=0.2, kept=False)
    low = a_run("low", score=0.5, broken_plain=0.3, broken_tuned=-0.1)
    best = best_run("best", [high, low])
    assert (best.tuned, best.broken_tuned, best.kept) == (0.5, -0.1, True)
    assert (best.plain, best.broken_plain) == (0.9, 0.1)


def test_lines_of_runs_without_constraints_are_as_before_and_can_be_read():
    line = a_run().to_line()
    assert not {"broken_plain", "broken_tuned", "kept"} & set(json.loads(line))
    assert Run.from_line(line) == a_run()
    floored = a_run(broken_plain=0.1, broken_tuned=-0.1, kept=False)
    assert Run.from_line(floored.to_line()) == floored


# --- tables and words -----------------------------------------------------------------------------


def table(broken, data="air", scores=None):
    """Five runs of each method; `broken` has by how much each run breaks the floor."""
    scores = scores or {"majority": 0.2, "cross_entropy": 0.6, "policy_gradient": 0.8}
    runs = [
        a_run(method, seed, scores[method] + 0.01 * seed, data, broken_plain=b, broken_tuned=b)
        for method, values in broken.items()
        for seed, b in enumerate(values)
    ]
    return summarise(data, "recall", runs, [*broken], subject_to=FLOOR)


KEPT, BROKEN = [-0.02, -0.01, 0.01], [0.04, 0.03, -0.01]


def test_methods_that_break_the_floor_on_average_stand_below_those_that_keep_it():
    found = table({"majority": KEPT, "policy_gradient": BROKEN, "cross_entropy": KEPT})
    assert [row.method for row in found.rows] == ["cross_entropy", "majority", "policy_gradient"]
    assert [row.tuned.best for row in found.rows] == [True, False, False]
    grid = score_grid(found)
    assert grid.header[-2:] == ("broken by, default decision", "broken by, tuned decision")
    assert grid.rows[2][-1].text == "+0.020, kept in 33 %"
    assert grid.rows[0][-1].text == "-0.007, kept in 67 %"
    assert "Subject to precision>=0.8" in grid.below
    assert len(score_grid(found, ["tuned"]).header) == len(grid.header) - 2


def test_a_method_that_breaks_the_floor_is_no_winner():
    found = judge(table({"cross_entropy": KEPT, "policy_gradient": BROKEN}), FAMILIES)
    assert (found.outcome, found.use) == ("unknown", "cross_entropy")
    assert found.text.startswith(
        "air: policy_gradient, which trains on recall, breaks precision>=0.8 by 0.02 on average on "
        "the test part (33 % of the runs keep it). Use cross_entropy"
    )


def test_where_both_keep_the_floor_the_verdict_says_what_they_kept():
    found = judge(table({"cross_entropy": KEPT, "policy_gradient": KEPT}), FAMILIES)
    assert (found.outcome, found.use) == ("paid", "policy_gradient")
    assert found.text.startswith("air: training on recall subject to precision>=0.8 paid: ")


def test_where_the_reference_breaks_the_floor_the_best_of_the_others_is_to_be_used():
    found = judge(table({"cross_entropy": BROKEN, "policy_gradient": KEPT}), FAMILIES)
    assert (found.outcome, found.use) == ("unknown", "policy_gradient")
    assert "cross_entropy breaks precision>=0.8 by 0.02" in found.text
    assert "which has the highest mean of those that keep the constraints, 0.810" in found.text


def test_where_all_break_the_floor_there_is_none_to_use():
    worse = [2 * one for one in BROKEN]
    found = judge(table({"cross_entropy": worse, "policy_gradient": BROKEN}), FAMILIES)
    assert found.use is None
    assert "No method keeps the constraints on average: there is none to use. The nearest, " in (
        found.text
    )
    assert found.text.endswith("by 0.02 on average on the test part (33 % of the runs keep it).")


def test_over_data_sets_what_breaks_the_floor_is_last_on_that_one():
    both = [
        table({"cross_entropy": KEPT, "policy_gradient": BROKEN}, "air"),
        table({"cross_entropy": KEPT, "policy_gradient": KEPT}, "sea"),
    ]
    found = {one.method: one for one in overall(both, (), "tuned").standings}
    assert {name: one.rank for name, one in found.items()} == {
        "cross_entropy": 1.5,
        "policy_gradient": 1.5,
    }
    assert (found["policy_gradient"].won, found["policy_gradient"].lost) == (1, 1)
    assert found["policy_gradient"].difference is None
    matrix = PairMatrix.of(overall(both, (), "tuned"))
    assert matrix.cells[0][1].lines == ("not kept", "1 / 0 / 1")
    assert "Not kept: one of the two breaks a constraint" in matrix.words


# --- a comparison ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_comparison_under_a_floor(tmp_path):
    settings = asked(
        reward="recall", subject_to=("precision[malignant]>=0.9",), epochs=12,
        methods=("majority", "policy_gradient"), batch_size=64, learning_rate=0.01,
    )  # fmt: skip
    study = compare(settings, jobs := plan(settings, settings.datasets()), tmp_path / "study")
    assert [row.method for row in study.tables[0].rows] == ["policy_gradient", "majority"]
    for run in study.runs:
        (_, wrong), (_, right) = run.confusion_tuned
        assert run.broken_tuned == pytest.approx(0.9 - right / max(right + wrong, 1))
    text = study.markdown.read_text(encoding="utf-8")
    assert "2 of 2 runs of majority on breast_cancer have no decision that keeps" in text
    assert "| broken by, default decision | broken by, tuned decision |" in text
    assert "precision\\[malignant\\]>=0.9" in text.replace("&gt;", ">")
    before = (tmp_path / "study" / "runs.jsonl").read_bytes()
    compare(settings, jobs, tmp_path / "study")
    assert (tmp_path / "study" / "runs.jsonl").read_bytes() == before


def test_policy_gradients_are_trained_under_the_constraints():
    settings = asked(subject_to=("recall[benign]>=0.7",))
    (job,) = plan(dataclasses.replace(settings, methods=("policy_gradient",)), settings.datasets())
    loss = job.method.loss(task_info(job, job.cases[0]))
    assert [one.reward.labels for one in loss.subject_to] == [(0,)]


@pytest.mark.slow
def test_the_epoch_is_the_best_of_those_that_keep_the_floor():
    """Recall alone would keep the first epochs, in which all are called positive."""
    settings = asked(
        data=("digits_rare:recall",), methods=("policy_gradient",), seeds=1, epochs=30,
        learning_rate=0.01, subject_to=("precision>=0.5",),
    )  # fmt: skip
    (job,) = plan(settings, settings.datasets())
    (run,) = train_job(job, [0], Progress())
    shown = run.history["val_reward"]
    kept = [value for value in shown if value is not None]
    assert None in shown[:3]
    assert shown[run.best_epoch - 1] == max(kept) == pytest.approx(run.valid_plain)


@pytest.mark.slow
def test_labels_of_several_columns_and_epochs_that_all_break_a_floor(tmp_path):
    settings = asked(data=("multilabel:f1_macro",), subject_to=("recall[label 4]>=1",), seeds=1)
    study = compare(settings, plan(settings, settings.datasets()), tmp_path)
    (run,) = study.runs
    assert run.history["val_reward"] == [None] * 3
    (_, _), (lost, found) = run.confusion_tuned[4]
    assert run.broken_tuned == pytest.approx(lost / (lost + found))
    assert "Epochs that break a constraint are left out." in study.markdown.read_text()
