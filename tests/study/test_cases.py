"""Which rows each seed gets, which trial counts, and jobs in processes of their own."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold
from study_cases import run_command

from policygrad_metrics.air.forecasters import METHODS as FORECASTERS
from policygrad_metrics.cli.main import build_parser
from policygrad_metrics.cli.options import read_settings
from policygrad_metrics.data import load
from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.study import records
from policygrad_metrics.study.cases import Cases
from policygrad_metrics.study.comparison import compare
from policygrad_metrics.study.evaluate import Outcome, Scorer, evaluate_trials
from policygrad_metrics.study.methods import METHODS
from policygrad_metrics.study.plan import plan, protocol
from policygrad_metrics.study.settings import QUICK, StudySettings
from policygrad_metrics.study.suites import (
    MOST_NUMBERS,
    SUITES,
    check_word,
    load_word,
    thinned,
    words_of,
)
from policygrad_metrics.study.table import part_shares
from policygrad_metrics.study.table_file import TableFile
from policygrad_metrics.study.workers import Todo, longest_first


def test_folds_are_those_of_scikit_learn_and_test_every_row_once():
    iris = load("iris")
    settings = StudySettings(data=("iris",), seeds=10, folds=5, seed=2)
    cases = Cases(iris, settings)
    first = list(StratifiedKFold(5, shuffle=True, random_state=2).split(iris.y, iris.y))
    for fold, (_, test) in enumerate(first):
        np.testing.assert_array_equal(cases.split(2 + fold).test, test)
    for repetition in (2, 7):
        tested = [cases.split(repetition + fold).test for fold in range(5)]
        assert sorted(np.concatenate(tested).tolist()) == list(range(150))
    assert not np.array_equal(cases.split(2).test, cases.split(7).test)
    train, test = part_shares(5)
    assert (train * 150, test * 150) == pytest.approx(
        (len(cases.split(2).train), len(cases.split(2).test))
    )


def test_a_share_of_the_rows_tests_and_a_fifth_of_the_others_validates():
    settings = StudySettings(data=("iris",), seeds=2, test_share=0.3)
    parts = Cases(load("iris"), settings).split(0)
    assert [len(rows) for rows in (parts.train, parts.valid, parts.test)] == [84, 21, 45]
    assert settings.epochs_for(load("iris")) == 600
    assert "--test-share 0.3" in settings.command()
    assert "Rows are split 56/14/30 into" in protocol(settings)[1]
    assert part_shares(None, 0.3) == pytest.approx((0.56, 0.3))


def test_seeds_of_a_shape_share_a_stack_and_a_series_has_one_case():
    iris = Cases(load("iris"), StudySettings(data=("iris",), seeds=4))
    assert iris.stacks() == [[0, 1, 2, 3]]
    assert not np.array_equal(iris[0].x_train, iris[1].x_train)
    series = Cases(load("pm25"), StudySettings(data=("pm25",), seeds=3))
    assert series[0] is series[1] is series[2]


def test_persistence_reads_the_label_that_was_last_known():
    series = load("pm25")
    parts = Cases(series, StudySettings(data=("pm25",))).split(0)
    last = Cases(series, StudySettings(data=("pm25",))).last_labels(0)
    np.testing.assert_array_equal(last.x_test[:, 0], series.y[parts.test - 3])
    assert last.x_train[:4, 0].tolist() == series.y[[0, 0, 0, 0]].tolist()
    wine = load("wine")
    assert wine.last_labels is None
    settings = StudySettings(data=("wine", "pm25"), methods=("persistence", "focal"))
    jobs = [(job.dataset.name, job.method.name) for job in plan(settings, [wine, series])]
    assert jobs == [("wine", "focal"), ("pm25", "persistence"), ("pm25", "focal")]
    with pytest.raises(ValueError, match="'persistence' has nothing to do"):
        plan(settings, [wine])


def test_the_quick_methods_hold_persistence_where_something_is_known_before():
    wine, series = load("wine"), load("pm25")
    asked = StudySettings(data=("wine", "pm25"), methods=("quick",))
    jobs = plan(asked, [wine, series])
    persistent = [job.dataset.name for job in jobs if job.method.name == "persistence"]
    assert persistent == ["pm25"]
    suited = [name for name in QUICK if METHODS[name].tasks != {"ranking"}]
    assert len(jobs) == 2 * len(suited) - 1
    assert len(plan(asked, [wine])) == len(suited) - 1


def test_too_few_rows_for_the_folds_are_told_when_the_data_are_read(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i},{'rare' if i == 7 else 'ab'[i % 2]}" for i in range(60)]
    path.write_text("\n".join(["x,y", *rows]), encoding="utf-8")
    asked = StudySettings(data=(), files=(TableFile(str(path), ("y",)),), seeds=5, folds=5)
    with pytest.raises(ValueError, match=r"'a', but 'rare' has 1"):
        asked.datasets()


def test_decisions_are_tuned_as_the_method_says_where_the_reward_allows_it():
    methods = ("cross_entropy", "cross_entropy_frank_wolfe", "cross_entropy_expected_f")
    settings = StudySettings(data=("digits_rare", "wine", "multilabel"), methods=methods)
    jobs = plan(settings, settings.datasets())
    assert [(job.dataset.name, job.method.tuning) for job in jobs] == [
        ("digits_rare", "auto"),
        ("digits_rare", "frank_wolfe"),
        ("digits_rare", "expected_f"),
        ("wine", "auto"),
        ("wine", "frank_wolfe"),
        ("multilabel", "auto"),  # the F1 of each row of labels is no function of counts
    ]
    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.2).astype(int)
    p = np.clip(0.15 + 0.2 * y + 0.1 * rng.normal(size=200), 0, 1)
    for job in jobs[:3]:
        parts = [Outcome(p, p)], y, y
        found = evaluate_trials(job.cases.scorer, "arg_max", *parts, tuning=job.method.tuning)
        tuner = DecisionTuner("f1", job.method.tuning).fit(p, y)
        assert found["decision"] == tuner.rule_.describe()
        assert found["tuned"] == pytest.approx(tuner.score_)
    with pytest.raises(ValueError, match=r"'cross_entropy_expected_f' .*multiclass for f1_macro"):
        plan(StudySettings(data=("wine",), methods=methods[::2]), [load("wine")])


def test_seeds_must_fill_their_folds():
    with pytest.raises(ValueError, match=r"seeds must be a multiple of folds, .* 7 seeds and 5"):
        StudySettings(seeds=7, folds=5)


def test_the_validation_part_chooses_the_trial_and_no_other_is_scored_on_the_test_part(monkeypatch):
    rng = np.random.default_rng(0)
    y_valid, y_test = rng.integers(0, 2, 60), rng.integers(0, 2, 50)
    scorer = Scorer.of("f1", "binary", 2)
    # Right at one half; of the right order, but nowhere near one half; noise, which fits the test.
    half, order = 0.5 + 0.3 * (y_valid - 0.5), 0.1 + 0.05 * y_valid
    half[:9] = 1 - half[:9]
    trials = [
        Outcome(rng.uniform(size=60), y_test * 1.0),
        Outcome(half, rng.uniform(size=50)),
        None,
        Outcome(order, rng.uniform(size=50)),
    ]
    scored = []
    real = Scorer.score
    monkeypatch.setattr(
        Scorer, "score", lambda self, y, a: (scored.append(len(y)), real(self, y, a))[1]
    )
    found = evaluate_trials(scorer, "arg_max", trials, y_valid, y_test)
    assert (found["trial_plain"], found["trial_tuned"]) == (1, 3)
    assert scored.count(50) == 2
    assert found["plain"] == real(scorer, y_test, (trials[1].test > 0.5).astype(int))
    tuner = DecisionTuner(scorer.reward).fit(order, y_valid)
    assert found["tuned"] == real(scorer, y_test, tuner.predict(trials[3].test))
    assert evaluate_trials(scorer, "arg_max", [None, None], y_valid, y_test) == {}


def test_every_word_of_the_bundled_suites_is_a_data_set_and_large_ones_are_thinned():
    for suite in ("standard", "published"):
        for word in words_of(suite, None):
            assert load_word(word, None).name == word
    digits = load("digits")
    assert thinned(digits) is digits
    wide = digits.numeric.repeat(60, axis=1)
    names = [f"x{column}" for column in range(wide.shape[1])]
    large = dataclasses.replace(digits, numeric=wide, numeric_names=names)
    thin = thinned(large)
    assert 0.95 * MOST_NUMBERS < thin.numeric.size <= MOST_NUMBERS + wide.shape[1] * 10
    assert "rows were kept" in thin.notes[-1]
    with pytest.raises(ValueError, match="did you mean 'standard'"):
        words_of("standart", None)


def test_every_suite_is_made_of_known_words_and_fields():
    for name, suite in SUITES.items():
        for word in words_of(name, "folder"):
            check_word(word)
        fields = {field.name for field in dataclasses.fields(StudySettings)}
        assert set(suite.settings) <= fields, name
        assert set(suite.settings.get("methods", ())) <= set(METHODS)
        assert set(suite.published) <= set(suite.bundled + suite.files)


def test_a_suite_of_files_alone_asks_for_their_folder():
    with pytest.raises(ValueError, match=r"suite='ordinal' reads all .*--data-dir FOLDER"):
        StudySettings(data=(), suite="ordinal")
    asked = read_settings(
        build_parser().parse_args(
            ["compare", "--suite", "ordinal", "--data-dir", "x", "--seeds", "2"]
        )
    )
    assert (asked.reward, asked.seeds, asked.test_share) == ("amae", 2, 0.3)
    assert len(asked.words) == 8


def test_what_takes_long_is_begun_first_and_each_data_set_in_one_piece():
    settings = StudySettings(
        data=("iris", "wine", "digits"), methods=("focal", "cross_entropy", "gradient_boosting")
    )
    jobs = plan(settings, settings.datasets())
    ordered = longest_first([Todo(job, (0,), 0.1) for job in jobs])
    assert [(todo.job.dataset.name, todo.job.method.name) for todo in ordered] == [
        (data, method)
        for data in ("digits", "wine", "iris")
        for method in ("gradient_boosting", "focal", "cross_entropy")
    ]


@pytest.mark.slow
def test_a_process_of_its_own_gives_the_same_runs(tmp_path):
    words = ("compare", "--data", "iris", "--methods", "majority,logistic_regression", "--seeds",
             "2", "--trials", "2")  # fmt: skip
    runs = []
    for workers in ("0", "1"):
        out = tmp_path / workers
        done = run_command(*words, "--workers", workers, "--out", str(out))
        assert "iris: logistic_regression" in done.stderr
        lines = [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]
        runs.append([{**line, "seconds": 0} for line in lines])
    assert runs[0] == runs[1]
    assert len(runs[0]) == 4


@pytest.mark.parametrize("table", [METHODS, FORECASTERS])
def test_every_method_travels_to_other_processes_by_name(table):
    for method in table.values():
        assert pickle.loads(pickle.dumps(method)) is method
    other = dataclasses.replace(table["cross_entropy"], build=dict)
    assert pickle.loads(pickle.dumps(other)) == other  # as it is, not as the table has it


@pytest.mark.slow
def test_predictions_are_kept_beside_the_runs_of_any_data(tmp_path):
    asked = StudySettings(
        data=("iris", "multilabel"), methods=("majority", "logistic_regression"), seeds=2,
        predictions=True,
    )  # fmt: skip
    jobs = plan(asked, asked.datasets())
    study = compare(asked, jobs, tmp_path)
    for run in study.runs:
        found = records.load_predictions(records.path_of(tmp_path, run.key))
        job = next(job for job in jobs if job.dataset.name == run.data)
        truth = job.cases[run.seed].y_test
        assert job.cases.scorer.score(truth, found.plain) == run.plain
        assert job.cases.scorer.score(truth, found.tuned) == run.tuned
        assert found.chances.shape == (truth.shape if truth.ndim == 2 else (len(truth), 3))
    lost = study.runs[3]
    records.path_of(tmp_path, lost.key).unlink()
    again = compare(asked, jobs, tmp_path)
    assert {run.key: run.plain for run in again.runs} == {r.key: r.plain for r in study.runs}
    assert records.load_predictions(records.path_of(tmp_path, lost.key)) is not None


def test_training_anew_on_all_that_is_known_is_for_series():
    with pytest.raises(ValueError, match=r"refit=True is for series; 'iris' is none"):
        plan(StudySettings(data=("iris",), refit=True), [load("iris")])


def test_a_report_says_that_libauc_trains_by_its_own_settings():
    settings = StudySettings(data=("iris",), methods=("cross_entropy", "libauc_auc_margin"))
    assert any("whatever the settings" in line for line in protocol(settings))
    assert not any("libauc_" in line for line in protocol(StudySettings(data=("iris",))))
