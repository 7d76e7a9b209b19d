"""Comparisons on rewards of rankings: one column, methods that rank, the reward as the score."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from policygrad_metrics.study.comparison import compare
from policygrad_metrics.study.evaluate import Outcome, Scorer, evaluate_trials
from policygrad_metrics.study.plan import plan
from policygrad_metrics.study.records import load_predictions, path_of
from policygrad_metrics.study.settings import StudySettings

METHODS = ("logistic_regression", "cross_entropy", "smooth_ap", "policy_gradient")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rankings")
    settings = StudySettings(
        data=("breast_cancer",),
        reward="average_precision",
        methods=METHODS,
        seeds=2,
        epochs=4,
        predictions=True,
    )
    jobs = plan(settings, settings.datasets())
    return jobs, compare(settings, jobs, folder)


@pytest.mark.slow
def test_scores_are_those_of_scikit_learn(study):
    jobs, study = study
    runs, cases = {run.key: run for run in study.runs}, jobs[0].cases
    for method in ("logistic_regression", "policy_gradient"):
        run = runs["breast_cancer", method, 0]
        found = load_predictions(path_of(study.directory, run.key))
        assert found.tuned is None
        expected = average_precision_score(cases[0].y_test, found.chances)
        np.testing.assert_allclose([run.plain, run.tuned], expected, rtol=1e-6)
        assert run.tuned > 0.8


@pytest.mark.slow
def test_there_is_one_column_and_no_decision(study):
    _, study = study
    report = study.markdown.read_text()
    assert 'sorted by "ranking"' in report
    assert "decision" not in report.split("## ")[1]
    assert study.tables[0].columns == {"tuned": "ranking"}


def test_the_trial_that_ranks_best_on_the_validation_part_is_taken():
    scorer = Scorer.of("roc_auc", "binary", 2)
    y = np.array([0, 1, 0, 1])
    right, wrong = y + 0.5, -y - 0.5
    found = evaluate_trials(scorer, "arg_max", [Outcome(wrong, right), Outcome(right, wrong)], y, y)
    assert (found["trial_tuned"], found["valid_tuned"], found["tuned"]) == (1, 1.0, 0.0)


def test_methods_of_labels_are_refused():
    settings = StudySettings(data=("breast_cancer",), reward="roc_auc", methods=("soft_f1",))
    with pytest.raises(ValueError, match="'soft_f1' has nothing to do"):
        plan(settings, settings.datasets())


def test_several_classes_are_refused():
    settings = StudySettings(data=("iris",), reward="roc_auc")
    with pytest.raises(ValueError, match="'roc_auc' ranks rows of two classes"):
        plan(settings, settings.datasets())
