"""Boosted trees in the comparison: LightGBM's own beside those on the reward, grown alike."""

import dataclasses

import numpy as np
import pytest

from policygrad_metrics.data import load
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.methods import METHODS, TaskInfo
from policygrad_metrics.study.plan import Menu, plan
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


def test_methods_that_cannot_run_here_are_left_out_or_refused():
    absent = dataclasses.replace(METHODS[NAMES[0]], needs="no_such_package")
    menu = Menu({"majority": METHODS["majority"], absent.name: absent}, ("majority",))
    iris = [load("iris")]
    with pytest.warns(UserWarning, match=r"boosting_cross_entropy are left out.*\[boosting\]"):
        jobs = plan(StudySettings(data=("iris",), methods=("all",)), iris, menu=menu)
    assert [job.method.name for job in jobs] == ["majority"]
    with pytest.raises(ValueError, match=r"boosting_cross_entropy here.*\[boosting\]"):
        plan(StudySettings(data=("iris",), methods=(absent.name,)), iris, menu=menu)
