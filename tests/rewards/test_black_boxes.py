"""Black boxes made cheap: confusion matrices instead of examples, workers, and a memory."""

import functools
import os
import pickle
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sk

import policygrad_metrics as pgm
from policygrad_metrics.estimators import strongest_estimator
from policygrad_metrics.losses.serialization import deserialize_reward, serialize_reward

TOLERANCE = 2e-6  # float32 rewards below 1
macro_f1 = functools.partial(sk.f1_score, average="macro", zero_division=0.0)


def problem(N=40, K=3, S=4):
    rng = np.random.default_rng(0)
    y, labels = rng.integers(0, K, N), rng.integers(0, K, (S, N))
    return y, labels, rng.normal(size=(N, K)).astype(np.float32)


class Counting:
    """A metric that counts its calls and notes what it was called with."""

    def __init__(self, metric, weights=True):
        self.metric, self.sizes = metric, []
        if not weights:
            self.__signature__ = __import__("inspect").signature(lambda y_true, y_pred: 0.0)

    def __call__(self, y_true, y_pred, sample_weight=None):
        self.sizes.append(len(y_true))
        options = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.metric(y_true, y_pred, **options)


WEIGHTS = {
    "plain": lambda y: None,
    "class-weights": lambda y: np.array([1.0, 2.5, 0.3])[y],
    "any-weights": lambda y: np.random.default_rng(1).gamma(2.0, size=len(y)),
    "masked": lambda y: (np.arange(len(y)) % 4 > 0).astype(float),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("weights", sorted(WEIGHTS))
def test_a_metric_of_counts_equals_the_reward_it_is(weights):
    y, labels, logits = problem()
    w = WEIGHTS[weights](y)
    box, twin = pgm.rewards.BlackBox(macro_f1, counts=True), pgm.get_reward("f1_macro")
    expected = twin(y, labels, w, num_classes=3)
    np.testing.assert_allclose(box(y, labels, w, num_classes=3), expected, atol=TOLERANCE)
    got, expected = (
        pgm.estimators.LocalExpectation(4)(logits, reward, y, sample_weight=w, seed=1)
        for reward in (box, twin)
    )
    np.testing.assert_allclose(got.gradient, expected.gradient, atol=TOLERANCE)
    np.testing.assert_allclose(got.value, expected.value, atol=TOLERANCE)


@pytest.mark.parametrize("N", [30, 3000])
@pytest.mark.parametrize("weighted", [False, True])
def test_all_flips_of_a_label_set_cost_the_same_whatever_the_batch(N, weighted):
    K = 3
    y, labels, logits = problem(N, K, 1)
    metric = Counting(macro_f1)
    box = pgm.rewards.BlackBox(metric, counts=True)
    box(y, labels, num_classes=K)  # the promise is tested here
    box._calls._kept.clear()
    metric.sizes.clear()
    w = np.array([1.0, 2.0, 4.0])[y] if weighted else None
    pgm.estimators.LocalExpectation(1).from_samples(logits, box, y, labels, sample_weight=w)
    assert len(metric.sizes) <= K**2 * (K - 1) + 1
    assert max(metric.sizes) <= K**2
    before = len(metric.sizes)
    pgm.estimators.LocalExpectation(1).from_samples(logits, box, y, labels, sample_weight=w)
    assert len(metric.sizes) == before


def test_auto_picks_local_expectation_and_multilabel_is_refused():
    box = pgm.rewards.BlackBox(macro_f1, counts=True)
    assert isinstance(strongest_estimator(box, 3), pgm.estimators.LocalExpectation)
    assert isinstance(
        strongest_estimator(pgm.rewards.BlackBox(macro_f1), 3), pgm.estimators.Reinforce
    )
    with pytest.raises(ValueError, match="not defined for multi-label"):
        pgm.rewards.BlackBox(macro_f1, counts=True, multilabel=True)([[0, 1]], [[1, 1]])


def test_a_function_without_weights_gets_the_examples_back():
    y, labels, _ = problem()
    metric = Counting(macro_f1, weights=False)
    box = pgm.rewards.BlackBox(metric, counts=True)
    np.testing.assert_allclose(
        box(y, labels), pgm.get_reward("f1_macro")(y, labels), atol=TOLERANCE
    )
    assert set(metric.sizes) == {len(y)}
    twice = pgm.get_reward("f1_macro")(y, labels, np.full(len(y), 2.0))
    np.testing.assert_allclose(box(y, labels, np.full(len(y), 2.0)), twice, atol=TOLERANCE)
    with pytest.raises(ValueError, match=r"no sample_weight=.*no whole numbers"):
        box(y, labels, np.full(len(y), 0.5))


NOISE = np.random.default_rng(0)
COST = np.linspace(0.0, 1.0, 40)
BROKEN = {
    "cost per example": lambda y, a, sample_weight=None: float((COST[: len(y)] * (y == a)).sum()),
    "runs of errors": lambda y, a: float(np.abs(np.diff((y == a).astype(int))).mean()),
    "noise": lambda y, a: float((y == a).mean() + NOISE.normal()),
    "weights ignored": lambda y, a, sample_weight=None: float((y == a).mean()),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_false_promise_is_refuted_at_the_first_batch(name):
    y, _, logits = problem()
    box = pgm.rewards.BlackBox(BROKEN[name], label="mine", counts=True)
    with pytest.raises(ValueError, match=r"counts=True promises that reward 'mine'.*counts=False"):
        pgm.estimators.LocalExpectation(4)(logits, box, y, seed=0)


def test_a_false_promise_stops_fit_before_the_first_update():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(3)])
    loss = pgm.PolicyGradientLoss(pgm.rewards.BlackBox(BROKEN["cost per example"], counts=True))
    model.compile("sgd", loss=loss, jit_compile=False)
    before = model.get_weights()
    with pytest.raises(tf.errors.InvalidArgumentError, match="counts=True promises"):
        model.fit(x, problem()[0], verbose=0)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


@pytest.mark.slow
def test_fit_and_metric_on_counts():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 3)).astype(np.float32)
    y = np.argmax(x + 0.2 * rng.normal(size=x.shape), axis=1)
    box = pgm.rewards.BlackBox(macro_f1, label="f1", counts=True)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(3)])
    model.compile(
        keras.optimizers.Adam(0.05),
        loss=pgm.PolicyGradientLoss(
            box, gradient_estimator=pgm.estimators.LocalExpectation(2), cross_entropy=0.0
        ),
        metrics=[pgm.RewardMetric(box)],
        jit_compile=False,
    )
    history = model.fit(x, y, batch_size=128, epochs=3, validation_data=(x, y), verbose=0).history
    assert history["val_f1"][-1] > history["val_f1"][0]
    expected = macro_f1(y, model.predict(x, verbose=0).argmax(1))
    assert history["val_f1"][-1] == pytest.approx(expected, abs=TOLERANCE)


def test_too_many_changes_are_refused_before_they_are_tried():
    K = 60
    metric = Counting(macro_f1)
    rng = np.random.default_rng(0)
    logits, y = np.zeros((2000, K), np.float32), rng.integers(0, K, 2000)
    with pytest.raises(ValueError, match=r"calls for this batch.*reinforce"):
        pgm.estimators.LocalExpectation(8)(
            logits, pgm.rewards.BlackBox(metric, counts=True), y, seed=0
        )
    assert len(metric.sizes) < 20


def local(name):
    """A metric made here, so that worker processes get it by value and import no test module."""

    def slow(y_true, y_pred):
        time.sleep(0.002)
        return float((y_true == y_pred).mean())

    def fails_on_ones(y_true, y_pred):
        if (y_pred == 1).any():
            raise KeyError("no ones here")
        return 0.0

    return {"slow": slow, "fails_on_ones": fails_on_ones}[name]


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_workers_change_nothing_but_the_time(backend):
    y, labels, logits = problem(S=7)
    slow = local("slow")
    parallel = pgm.rewards.BlackBox(slow, workers=2, backend=backend)
    np.testing.assert_array_equal(parallel(y, labels), pgm.rewards.BlackBox(slow)(y, labels))
    offset = 0.25  # processes receive closures and lambdas by value
    closure = pgm.rewards.BlackBox(lambda a, b: slow(a, b) + offset, workers=2, backend=backend)
    np.testing.assert_array_equal(closure(y, labels), parallel(y, labels) + np.float32(offset))
    one, two = (
        pgm.estimators.Reinforce(4)(logits, box, y, seed=3)
        for box in (parallel, pgm.rewards.BlackBox(slow))
    )
    np.testing.assert_array_equal(one.gradient, two.gradient)


def test_threads_really_run_at_the_same_time():
    both = threading.Barrier(2, timeout=20)  # a serial call would wait for ever

    def meets(y_true, y_pred):
        both.wait()
        return 1.0

    y, labels, _ = problem(S=4)
    rewards = pgm.rewards.BlackBox(meets, workers=2, backend="threads")(y, labels)
    np.testing.assert_array_equal(rewards, np.ones(4))


@pytest.mark.parametrize(("workers", "backend"), [(1, "threads"), (2, "threads"), (2, "processes")])
def test_exceptions_of_the_function_arrive(workers, backend):
    y, labels, _ = problem()
    box = pgm.rewards.BlackBox(local("fails_on_ones"), workers=workers, backend=backend)
    with pytest.raises(RuntimeError, match=r"'fails_on_ones' raised KeyError: 'no ones here'"):
        box(y, labels)
    assert float(box(y, np.zeros_like(y))) == 0.0  # and the workers live on


def test_what_cannot_be_sent_says_so():
    lock, (y, labels, _) = threading.Lock(), problem()

    def locked(y_true, y_pred):
        with lock:
            return 0.0

    with pytest.raises(ValueError, match=r"'locked' cannot be sent to other processes.*threads"):
        pgm.rewards.BlackBox(locked, workers=2)(y, labels)
    assert pgm.rewards.BlackBox(locked, workers=2, backend="threads")(y, labels).shape == (4,)


def test_repeated_label_sets_are_remembered_within_bounds():
    y, labels, _ = problem(S=3)
    metric = Counting(lambda a, b: float((a == b).mean()))
    box = pgm.rewards.BlackBox(metric, cache=3)
    first = box(y, np.concatenate([labels, labels]))
    assert len(metric.sizes) == 3
    np.testing.assert_array_equal(first[:3], first[3:])
    box(1 - y // 2, labels)  # another truth is another reward
    assert len(metric.sizes) == 6
    box(y, labels)  # and has pushed the first out
    assert len(metric.sizes) == 9
    forgetful = Counting(lambda a, b: 0.0)
    pgm.rewards.BlackBox(forgetful)(y, np.concatenate([labels, labels]))
    assert len(forgetful.sizes) == 6
    columns = pgm.rewards.BlackBox(metric, cache=8)
    assert columns.for_multilabel().for_multilabel()._calls is columns._calls


@keras.saving.register_keras_serializable(package="tests")
def registered_metric(y_true, y_pred, sample_weight=None):
    return float(np.average(y_true == y_pred, weights=sample_weight))


def test_round_trips():
    box = pgm.rewards.BlackBox(
        registered_metric, counts=True, workers=2, backend="threads", cache=10
    )
    y, labels, _ = problem()
    score = box(y, labels)
    assert pickle.loads(pickle.dumps(box)) == box
    assert hash(pickle.loads(pickle.dumps(box))) == hash(box)
    again = deserialize_reward(serialize_reward(box))
    assert again == box
    assert (again.workers, again.backend, again.cache, again.counts) == (2, "threads", 10, True)
    np.testing.assert_array_equal(again(y, labels), score)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="did you mean 'threads'"):
        pgm.rewards.BlackBox(macro_f1, backend="thread")
    with pytest.raises(ValueError, match=r"workers must be.*'threads'"):
        pgm.rewards.BlackBox(macro_f1, workers=0)
    with pytest.raises(ValueError, match="cache must be"):
        pgm.rewards.BlackBox(macro_f1, cache=-1)


def test_decision_tuning_calls_a_metric_of_counts():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    p = np.clip(0.5 * y + 0.6 * rng.random(60), 0.0, 1.0)
    twin, box = (
        pgm.DecisionTuner(reward, method="threshold").fit(p, y)
        for reward in ("f1", pgm.rewards.BlackBox(sk.f1_score, counts=True))
    )
    assert box.score_ == pytest.approx(twin.score_, abs=TOLERANCE)


def test_no_pool_at_import_and_none_left_at_the_end():
    """Run in a program of its own, which prints the ids of its worker processes."""
    code = """
import os, sys
import numpy as np
from policygrad_metrics.rewards.python_calls import Calls
assert not {"joblib", "tensorflow"} & set(sys.modules), "imported too early"
both = (np.zeros(3), np.ones(3))
ids = Calls(lambda y_true, y_pred: os.getpid(), "ids", workers=2)([both] * 8)
assert os.getpid() not in ids
print(*{int(i) for i in ids})
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for worker in map(int, done.stdout.split()):
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_function_of_no_module_is_a_reward():
    space = {}
    exec("def right(y_true, y_pred): return float((y_true == y_pred).mean())", space)
    assert space["right"].__module__ is None
    assert float(pgm.get_reward(space["right"])([0, 1], [0, 0])) == 0.5
