"""Runs of several networks: their mean decides, and runs of other numbers never mix."""

import numpy as np
import pytest

from policygrad_metrics.air.content import protocol as forecast_protocol
from policygrad_metrics.cli import main as cli
from policygrad_metrics.data import load
from policygrad_metrics.study import train
from policygrad_metrics.study.comparison import compare
from policygrad_metrics.study.evaluate import probabilities
from policygrad_metrics.study.plan import plan, protocol
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import StudyError
from policygrad_metrics.study.settings import StudySettings, directory_name
from policygrad_metrics.study.train import member_seed, train_job
from policygrad_metrics.training import Network, Replica, Trained, train_replicas

ASKED = {"data": ("iris",), "seeds": 2, "epochs": 3, "hidden": (8,), "predictions": True}


@pytest.mark.slow
def test_a_run_is_the_mean_of_networks_trained_one_by_one():
    settings = StudySettings(
        **{**ASKED, "seeds": 1}, methods=("weighted_cross_entropy",), members=2
    )
    (job,) = plan(settings, settings.datasets())
    (run,) = train_job(job, [0], Progress())
    alone = train_replicas(
        Network((8,)),
        lambda hyper: job.method.loss(train.task_info(job, job.cases[0])),
        job.cases.scorer.reward,
        job.cases.scorer.task,
        job.cases[0],
        [Replica(member_seed(0, member), 1e-3) for member in range(2)],
        epochs=3,
        stacked=False,
    )
    chances = [probabilities(one.test_outputs, job.cases.scorer.task) for one in alone]
    assert abs(chances[0] - chances[1]).max() > 1e-2
    np.testing.assert_allclose(run.predictions.chances, np.mean(chances, axis=0), atol=1e-5)
    np.testing.assert_allclose(run.history["loss"], alone[0].history["loss"], rtol=1e-4)
    assert run.steps == sum(one.steps for one in alone)


def in_no_time(lost=()):
    """Training that makes outputs up; the replicas at some places diverge."""
    draw = np.random.default_rng(0)

    def made_up(*, replicas, data, **how):
        parts = [(len(one.x_valid), len(one.x_test)) for one in data]
        history = {"loss": [1.0], "val_reward": [0.5]}
        found = []
        for place, (replica, (valid, test)) in enumerate(zip(replicas, parts, strict=True)):
            outputs = draw.normal(size=[valid, 3]), draw.normal(size=[test, 3])
            rest = ([], place in lost, 3, 0.1, 0, True)
            found.append(Trained(replica.seed, 0, history, *outputs, *rest))
        return found

    return made_up


def test_each_trial_and_seed_has_its_own_members(monkeypatch):
    monkeypatch.setattr(train, "train_replicas", made_up := in_no_time(lost=[3]))
    settings = StudySettings(**ASKED, methods=("cross_entropy",), members=2, trials=2)
    (job,) = plan(settings, settings.datasets())
    asked = []
    monkeypatch.setattr(
        train, "train_replicas", lambda **how: asked.extend(how["replicas"]) or made_up(**how)
    )
    first, second = train_job(job, [0, 1], Progress())
    assert [one.seed for one in asked] == [member_seed(s, m) for s in (0, 1) for m in (0, 1) * 2]
    assert asked[0].learning_rate == asked[1].learning_rate != asked[2].learning_rate
    assert (first.trial_plain, first.trial_tuned) == (0, 0)  # the other one lost a member
    assert first.steps == second.steps == 12
    monkeypatch.setattr(train, "train_replicas", in_no_time(lost=[1, 2, 5]))
    first, second = train_job(job, [0, 1], Progress())
    assert (first.diverged, second.diverged, second.trial_plain) == (True, False, 1)


@pytest.mark.slow
def test_runs_of_other_members_are_refused_and_the_same_go_on(tmp_path, monkeypatch):
    def study(members):
        settings = StudySettings(**ASKED, methods=("cross_entropy",), members=members)
        return compare(settings, plan(settings, settings.datasets()), tmp_path)

    monkeypatch.setattr(train, "train_replicas", in_no_time())
    first = study(2)
    assert any("the mean of 2 networks" in line for line in first.settings["protocol"])
    assert "--members 2" in first.settings["command"]
    assert "the mean of 2 networks" in first.markdown.read_text()
    monkeypatch.setattr(train, "train_replicas", None)
    assert study(2).runs == first.runs
    with pytest.raises(StudyError, match="other settings: members was 2, now 1"):
        study(1)


def test_the_command_line_asks_for_members(capsys):
    one, many = StudySettings(data=("iris",)), StudySettings(data=("iris",), members=4)
    assert "--members" not in one.command()
    assert directory_name(one, [load("iris")]) != directory_name(many, [load("iris")])
    assert protocol(one) == protocol(many)[:-1]
    assert forecast_protocol(refit=False, members=4)[-1] == protocol(many)[-1]
    for words in (["compare", "--data", "iris"], ["aqi", "none.csv"]):
        assert cli.main([*words, "--members", "0"]) == 2
        assert "members must be a whole number from 1 to 1000, got 0" in capsys.readouterr().err
