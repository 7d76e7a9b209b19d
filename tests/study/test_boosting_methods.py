"""Boosted trees in the comparison: LightGBM's own beside those on the reward, grown alike."""

import dataclasses

import numpy as np
import pytest

from policygrad_metrics.data import load
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.best import best_run
from policygrad_metrics.study.comparison import compare
from policygrad_metrics.study.methods import METHODS, TaskInfo, base
from policygrad_metrics.study.plan import Menu, plan
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.settings import StudySettings

lightgbm = pytest.importorskip("lightgbm")
NAMES = ("boosting_cross_entropy", "boosting_weighted", "boosting_policy_gradient")


def clouds(K, size=240):
    rng = np.random.default_rng(0)
    y = np.minimum(rng.geometric(0.55, size) - 1, K - 1)
    return rng.normal(size=(size, 4)).astype(np.float32) + y[:, None], y


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize(("name", "class_weight"), [(NAMES[0], None), (NAMES[1], "balanced")])
def test_the_rivals_are_lightgbm_as_it_comes(K, name, class_weight):
    x, y = clouds(K)
    info = TaskInfo.of("binary" if K == 2 else "multiclass", "accuracy", y, K)
    ours = METHODS[name].model(info, seed=3).fit(x, y)
    theirs = lightgbm.LGBMClassifier(
        n_estimators=150,
        num_leaves=15,
        class_weight=class_weight,
        random_state=3,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    ).fit(x, y)
    chances = theirs.booster_.predict(x)
    chances = np.stack([1.0 - chances, chances], axis=1) if K == 2 else chances
    np.testing.assert_allclose(ours.predict_proba(x), chances, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.few(1)
def test_the_validation_part_chooses_how_many_trees_and_a_refit_keeps_them(name):
    x, y = clouds(3)
    model = METHODS[name].model(TaskInfo.of("multiclass", "f1_macro", y[:160], 3))
    model.fit(x[:160], y[:160], x[160:], y[160:])
    rounds = model.trees_.rounds
    labels = model.predict_proba(x[160:]).argmax(axis=1)
    best = float(get_reward("f1_macro")(y[160:], labels, num_classes=3))
    longer = METHODS[name].model(model.info).fit(x[:160], y[:160])
    last = longer.predict_proba(x[160:]).argmax(axis=1)
    assert rounds < longer.trees_.rounds == 150
    assert best >= float(get_reward("f1_macro")(y[160:], last, num_classes=3))
    assert model.refit(x, y).trees_.rounds == rounds


def test_methods_that_cannot_run_here_are_left_out_or_refused(monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda package: None)
    absent = METHODS[NAMES[0]]
    menu = Menu({"majority": METHODS["majority"], absent.name: absent}, ("majority",))
    iris = [load("iris")]
    with pytest.warns(UserWarning, match=r"boosting_cross_entropy are left out.*\[boosting\]"):
        jobs = plan(StudySettings(data=("iris",), methods=("all",)), iris, menu=menu)
    assert [job.method.name for job in jobs] == ["majority"]
    with pytest.raises(ValueError, match=r"boosting_cross_entropy here.*LightGBM.*\[boosting\]"):
        plan(StudySettings(data=("iris",), methods=(absent.name,)), iris, menu=menu)


BEST = ("policy_gradient_best", "policy_gradient", "boosting_policy_gradient")


@pytest.mark.parametrize("asked", [BEST, BEST[:1]])
@pytest.mark.slow
def test_the_best_is_the_part_with_the_better_validation_reward(tmp_path, asked):
    settings = StudySettings(
        data=("iris",), methods=asked, seeds=3, epochs=1, hidden=(4,), predictions=True
    )
    study = compare(settings, plan(settings, settings.datasets()), tmp_path)
    lines = (tmp_path / "runs.jsonl").read_bytes().splitlines()
    runs = {run.key: run for run in map(Run.from_line, lines)}
    assert len(runs) == len(lines) == 9  # either part is trained once, asked for or not
    assert {run.method for run in study.runs} == set(asked)
    for seed in range(3):
        best, network, trees = (runs["iris", name, seed] for name in BEST)
        for column in ("plain", "tuned"):
            valid = [getattr(part, f"valid_{column}") for part in (network, trees)]
            part = trees if valid[1] > valid[0] else network
            for field in (column, f"valid_{column}", f"confusion_{column}", f"trial_{column}"):
                assert getattr(best, field) == getattr(part, field)
        assert best.seconds == network.seconds + trees.seconds
    resumed = compare(settings, plan(settings, settings.datasets()), tmp_path)
    assert sorted(run.to_line() for run in resumed.runs) == sorted(
        run.to_line() for run in study.runs
    )
    assert (tmp_path / "runs.jsonl").read_bytes().splitlines() == lines


def test_a_part_that_diverged_is_never_the_best_one():
    fine = Run("air", "trees", 0, plain=0.1, valid_plain=-0.5, tuned=0.2, valid_tuned=-0.4)
    gone = Run("air", "network", 0, diverged=True)
    best = best_run("best", [gone, fine])
    assert (best.diverged, best.plain, best.tuned) == (False, 0.1, 0.2)
    assert best_run("best", [gone, gone]).diverged


@pytest.mark.slow
def test_methods_of_another_comparison_join_earlier_runs(tmp_path):
    """The parts are trained first, the best of them in a later sitting: nothing is trained anew."""
    settings = StudySettings(data=("iris",), methods=BEST[1:], seeds=1, epochs=1, hidden=(4,))
    compare(settings, plan(settings, settings.datasets()), tmp_path)
    before = (tmp_path / "runs.jsonl").read_bytes()
    later = dataclasses.replace(settings, methods=BEST[:1])
    study = compare(later, plan(later, later.datasets()), tmp_path)
    assert (tmp_path / "runs.jsonl").read_bytes().startswith(before)
    assert [run.method for run in study.runs] == ["policy_gradient_best"]
