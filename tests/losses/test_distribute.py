"""tf.distribute: n replicas train as one device does with the same global batch."""

import json
import math
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.core import global_batch

pytestmark = pytest.mark.slow

# Sums of a few dozen float32 terms of at most 1, in another order.
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All cases, run in one other process and its forks."""
    program = Path(__file__).with_name("distribute_runs.py")
    command = [sys.executable, program, tmp_path_factory.mktemp("runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_kind_of_reward_is_that_of_the_global_batch(results):
    """Loss and gradient; uneven shares, a replica without examples, weights in every other case."""
    gaps = results["rewards"]
    assert len(gaps) == 20
    assert {name: gap for name, gap in gaps.items() if not gap < TOLERANCE} == {}


def test_every_sampling_estimator_is_that_of_the_global_batch(results):
    """From the same label sets, black boxes included."""
    gaps = results["estimators"]
    names = {"reinforce black box", "local_expectation counted calls", "disarm black box"}
    assert names < set(gaps)
    of_soft_scores = ("soft_plug_in", "gumbel_softmax", "rao_blackwell_straight_through")
    assert {f"{name} f1_macro" for name in of_soft_scores} < set(gaps)
    assert {name: gap for name, gap in gaps.items() if not gap < TOLERANCE} == {}


def test_fit_on_two_devices_is_fit_on_one(results):
    """Weights, loss, metric and validation of a plain Keras model; the last batch is one row."""
    mirrored = results["mirrored"]
    names = ("f1_macro", "loss", "own_accuracy")
    assert mirrored["names"] == sorted([*names, *(f"val_{name}" for name in names)])
    assert mirrored["gap"] < TOLERANCE


def test_a_python_reward_sees_the_global_batch(results):
    """41 examples in batches of 20, of which each replica holds a half."""
    assert results["mirrored"]["sizes"] == [1, 20]
    assert math.isfinite(results["mirrored"]["black box loss"])


def test_replicas_draw_differently_even_from_equal_outputs(results):
    assert results["mirrored"]["draws differ"]


def test_two_workers_of_which_one_is_killed_lose_nothing(results):
    workers = results["workers"]
    assert workers["exits"][0][0] == -9
    assert workers["exits"][1] == [0, 0]
    assert workers["epochs"] == 2  # of four: the killed sitting had finished two
    assert workers["workers agree"]
    assert workers["gap"] < TOLERANCE
    assert not workers["left"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("sum", "reduction='sum' has no meaning for a reward of the global batch"),
        (
            "enumerate",
            'cannot be used under a tf.distribute strategy: use gradient_estimator="exact"',
        ),
        ("running_counts", "running_counts= is not available under a tf.distribute strategy"),
        ("outside", "make it inside strategy.scope()"),
        ("steps", "Use steps_per_execution=1 and jit_compile=False"),
        ("jit", "Use steps_per_execution=1 and jit_compile=False"),
        ("plain steps", "use model.compile(..., steps_per_execution=1)"),
        ("strategy", "CentralStorageStrategy cannot be used: Keras 3 does not train with it"),
    ],
)
def test_what_cannot_work_is_refused(results, what, message):
    assert message in results["mirrored"]["said"][what]


def test_a_state_made_in_the_scope_is_accepted(results):
    assert results["mirrored"]["said"]["inside"] == ""


@pytest.mark.parametrize("name", ["ParameterServerStrategy", "TPUStrategy"])
def test_other_strategies_are_refused_when_the_loss_is_made(monkeypatch, name):
    """A stand-in: the real ones need a cluster, or a TPU."""
    monkeypatch.setattr(tf.distribute, "has_strategy", lambda: True)
    monkeypatch.setattr(tf.distribute, "get_strategy", type(name, (), {}))
    with pytest.raises(ValueError, match=f"{name} cannot be used.* Use one of OneDeviceStrategy"):
        pgm.PolicyGradientLoss("f1")


def test_xla_under_a_strategy_is_refused_by_the_loss(monkeypatch):
    from policygrad_metrics.losses import base

    monkeypatch.setattr(base, "replicas", lambda: 2)
    monkeypatch.setattr(base, "under_xla", lambda: True)
    with pytest.raises(ValueError, match=r"use model.compile\(..., jit_compile=False\)"):
        base.check_replicas("mean", ())


def test_on_one_device_nothing_is_exchanged():
    x = tf.constant([1.0, 2.0])
    assert global_batch.over_replicas(x) is x
    assert global_batch.shared_gradient(x) is x
    assert global_batch.gathered(x)[0] is x
    assert global_batch.own_rows(x, x) is x
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        assert global_batch.replicas() == 1


def test_a_distributed_model_saves_and_loads(tmp_path):
    inputs = keras.layers.Input((4,))
    model = pgm.training.DistributedModel(inputs, keras.layers.Dense(3)(inputs))
    model.compile("sgd", pgm.PolicyGradientLoss("f1_macro"), steps_per_execution=2)
    model.save(tmp_path / "model.keras")
    assert isinstance(pgm.load_model(tmp_path / "model.keras"), pgm.training.DistributedModel)
