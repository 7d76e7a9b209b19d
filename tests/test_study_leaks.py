"""Permuted labels give chance on the test part, for every method of the table.

All labels are permuted, so that those of the test part are independent of all that was predicted,
and the share of hits varies less than a binomial one.

Every method goes the study's whole way: preparation, training, tuning, scoring. The compiled
trainer takes seconds per method to compile; here a dozen plain Adam steps of a linear model stand
for it, and one method goes through the compiled one.
"""

import numpy as np
import pytest
import tensorflow as tf
from threadpoolctl import threadpool_limits

from policygrad_metrics.data import Dataset
from policygrad_metrics.methods import METHODS
from policygrad_metrics.study import train
from policygrad_metrics.study.cases import Cases
from policygrad_metrics.study.plan import plan
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.training import Trained

ROWS = 600
#: Standard deviations of chance that a fixed decision may be off: 62 methods times two columns
#: times the normal tail beyond 4.5, 7e-6, is below one in a thousand.
SIGMAS = 4.5


def problem(task, *, permuted):
    """Balanced classes that the first feature tells apart."""
    K = 2 if task == "binary" else 3
    rng = np.random.default_rng(0)
    y = np.arange(ROWS) % K
    x = np.stack([4.0 * y + rng.normal(size=ROWS), rng.normal(size=ROWS)], axis=1)
    y = rng.permutation(y) if permuted else y
    names = [f"level {k}" for k in range(K)]
    return Dataset(task, task, x, None, ["a", "b"], [], y, names, task, "accuracy")


def plain_trainer(network, build_loss, reward, task, data, replicas, **options):
    """What `train_replicas` does, without a program: a linear model, full batches, a few steps."""
    trained = []
    for replica, arrays in zip(replicas, data, strict=True):
        loss_of, features = build_loss(dict(replica.hyper)), arrays.x_train.shape[1] + 1
        columns = 1 if task == "binary" else options["num_classes"]
        x = {
            part: tf.constant(np.c_[getattr(arrays, f"x_{part}"), np.ones(len(rows))], tf.float32)
            for part, rows in (("train", arrays.y_train), ("valid", arrays.y_valid),
                               ("test", arrays.y_test))
        }  # fmt: skip
        weights = tf.Variable(tf.random.stateless_normal([features, columns], [1, 2]) / 10)
        mean = square = tf.zeros_like(weights)
        for step in range(1, 13):
            with tf.GradientTape() as tape:
                loss = loss_of(tf.constant(arrays.y_train), x["train"] @ weights)
            gradient = tape.gradient(loss, weights)
            mean, square = 0.9 * mean + 0.1 * gradient, 0.9 * square + 0.1 * gradient**2
            rate = 0.2 * (1 - 0.9**step) ** 0.5 / (1 - 0.9**step)
            weights.assign_sub(rate * mean / (tf.sqrt(square) + 1e-7))
        valid, test = ((x[part] @ weights).numpy() for part in ("valid", "test"))
        trained.append(
            Trained(
                seed=replica.seed, best_epoch=0, history={"val_reward": [0.0]}, valid_outputs=valid,
                test_outputs=test, weights=[], diverged=not np.isfinite(test).all(), steps=12,
                seconds=0.0, reward_evaluations=0, stacked=False,
            )
        )  # fmt: skip
    return trained


def run_of(name, *, permuted):
    """The run of a method, and how far chance reaches around which share."""
    task = "binary" if "binary" in METHODS[name].tasks else "ordinal"
    dataset = problem(task, permuted=permuted)
    settings = StudySettings(
        data=("iris",), methods=(name,), seeds=1, epochs=20, hidden=(), learning_rate=0.05
    )
    (job,) = plan(settings, [dataset])
    arrays = Cases(dataset, settings)[0]
    if job.method.build is None:
        with threadpool_limits(1):  # threads that wait for one another take long
            run = train._fit_predictor(job, settings, arrays, 0)
    else:
        (run,) = train._train_networks(job, settings, {0: arrays}, Progress(), 1.0)
    share = 1 / len(dataset.class_names)
    return run, share, SIGMAS * np.sqrt(share * (1 - share) / len(arrays.y_test))


#: Persistence learns nothing that could leak, and needs a series.
LEARNING = [name for name, method in METHODS.items() if method.reads == "features"]


@pytest.mark.parametrize("name", LEARNING)
def test_permuted_labels_give_chance_on_the_test_part(name, monkeypatch):
    monkeypatch.setattr(train, "train_replicas", plain_trainer)
    run, share, reach = run_of(name, permuted=True)
    assert not run.diverged
    for score in (run.plain, run.tuned):
        assert abs(score - share) <= reach


@pytest.mark.parametrize("name", ["logistic_regression", "cross_entropy", "policy_gradient"])
def test_the_same_way_with_the_true_labels_is_far_from_chance(name, monkeypatch):
    """So that the test above can fail."""
    monkeypatch.setattr(train, "train_replicas", plain_trainer)
    run, share, reach = run_of(name, permuted=False)
    assert min(run.plain, run.tuned) > share + 2 * reach


def test_the_compiled_trainer_leaks_nothing_either():
    for permuted in (True, False):
        run, share, reach = run_of("policy_gradient", permuted=permuted)
        assert (abs(run.tuned - share) <= reach) == permuted
