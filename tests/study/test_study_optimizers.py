"""A study trains with any Keras optimizer, and keeps it with its settings."""

import dataclasses
import shlex

import keras
import numpy as np
import pytest

from policygrad_metrics.study.comparison import compare, plan
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.trained.fit import train_table
from policygrad_metrics.training.optimizer import read_optimizer


def slower():
    return keras.optimizers.schedules.CosineDecay(0.03, 6)


def test_an_optimizer_is_kept_as_text_and_comes_back():
    asked = StudySettings(optimizer=keras.optimizers.AdamW(slower(), weight_decay=0.1))
    words = shlex.split(asked.command())
    assert words[words.index("--optimizer") + 1] == asked.optimizer
    assert dataclasses.replace(asked, optimizer=asked.optimizer) == asked
    rule, rate = read_optimizer(asked.optimizer)
    kept = rule.build().get_config()
    assert (rate, kept["weight_decay"]) == (None, 0.1)
    assert kept["learning_rate"]["config"]["decay_steps"] == 6


@pytest.mark.parametrize("more", [{"learning_rate": 0.1}, {"trials": 2}])
def test_what_a_schedule_settles_cannot_be_asked_for(more):
    with pytest.raises(ValueError, match=next(iter(more))):
        StudySettings(optimizer=keras.optimizers.SGD(slower()), **more)


def test_it_trains_with_the_optimizer_that_it_was_given(tmp_path):
    def history(number, **how):
        asked = StudySettings(
            data=("iris",), methods=("cross_entropy",), seeds=1, epochs=3, hidden=(4,), **how
        )
        return compare(asked, plan(asked, asked.datasets()), tmp_path / number).runs[0].history

    named = history("named", optimizer="sgd", learning_rate=0.03)
    assert history("instance", optimizer=keras.optimizers.SGD(0.03)) == named
    assert history("schedule", optimizer=keras.optimizers.SGD(slower())) != named


def test_the_card_of_a_model_tells_its_optimizer():
    x = np.linspace(-1.0, 1.0, 60)
    optimizer = keras.optimizers.SGD(slower())
    table = {"x": x, "y": (x > 0.2).astype(int)}
    model = train_table(table, "y", optimizer=optimizer, epochs=1, hidden=())
    assert repr(StudySettings(optimizer=optimizer).optimizer) in model.card.command
