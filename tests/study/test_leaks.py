"""Permuted labels of all that is learned from give chance on the test part, for every method.

The rows lie in M tight clusters, of which each belongs to a class: an assignment that even a linear
model learns. The labels of the training and the validation part are permuted, those of the test
part are left as they are. Chance is then known:

Each cluster has as many rows in every part, each class as many clusters. So what a method predicts
for the test rows depends on the features and on a permutation of balanced labels, and is
independent of which cluster belongs to which class, which was drawn. With h[m, k] the share of
cluster m's test rows that are given class k, the accuracy is the mean over m of h[m, class(m)]: a
sum over a random permutation, whose mean is 1 / K, and whose variance is (Hoeffding 1951)

    sum of d^2 / (M - 1) <= 1/K (1 - 1/K) / (M - 1),   d the h / M less row and column means

whatever the method does. Over P drawings of assignment and permutation it is a P-th of that.

Every method goes the study's whole way: preparation, training, tuning, scoring. The compiled
trainer takes seconds per method to compile; here a few dozen plain Adam steps of a linear model
stand for it, and one method goes through the compiled one.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from threadpoolctl import threadpool_limits

from policygrad_metrics.data import Dataset, Split, prepare
from policygrad_metrics.decision import can_tune
from policygrad_metrics.study import train
from policygrad_metrics.study.evaluate import Scorer
from policygrad_metrics.study.methods import METHODS
from policygrad_metrics.study.plan import plan
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.training import Trained


@dataclasses.dataclass(frozen=True)
class Size:
    """How many clusters in how many features, drawn how often."""

    clusters: int = 150
    features: int = 120
    drawings: int = 2


USUAL, SMALL = Size(), Size(60, 20, 1)
#: Rows of each cluster in the training, validation and test part.
ROWS = (4, 2, 2)
#: Standard deviations that the accuracy may be off: some 190 cases times two columns times the
#: normal tails beyond 4.5, 7e-6, are 3 in a thousand.
SIGMAS = 4.5
#: Task -> what is the accuracy there, and its classes.
TASKS = {
    "binary": ("accuracy", 2),
    "ordinal": ("accuracy", 3),
    "multilabel": ("hamming", 2),  # the mean of the labels' accuracies, each of which is as above
}
LABELS = 3
SETTINGS = StudySettings(
    data=("iris",), seeds=USUAL.drawings, epochs=20, hidden=(), learning_rate=0.05, batch_size=240
)


def drawing(task, seed, size=USUAL, *, permuted=True, leaking=False):
    """A data set of clusters, and its three parts.

    Args:
        task: The task.
        seed: Of everything that is drawn.
        size: How large.
        permuted: Whether the labels of the training and validation part are permuted.
        leaking: Whether the test rows train as well.
    """
    rng = np.random.default_rng(seed)
    reward, K = TASKS[task]
    M = size.clusters
    cluster = np.arange(M).repeat(sum(ROWS))
    part = np.tile(np.arange(3).repeat(ROWS), M)
    centers = rng.choice([-1.0, 1.0], [M, size.features])
    x = centers[cluster] + 0.3 * rng.normal(size=[len(cluster), size.features])
    columns = LABELS if task == "multilabel" else 1
    classes = np.stack([rng.permutation(np.arange(M) % K) for _ in range(columns)], axis=1)
    y = classes[cluster]
    rows = [np.flatnonzero(part == number) for number in range(3)]
    if permuted:
        learned = np.flatnonzero(part < 2)
        y[learned] = y[rng.permutation(learned)]
    if leaking:
        rows[0] = np.concatenate([rows[0], rows[2]])
    names = [f"name {k}" for k in range(LABELS if task == "multilabel" else K)]
    features = [f"x{number}" for number in range(size.features)]
    labels = y if task == "multilabel" else y[:, 0]
    dataset = Dataset(task, task, x, None, features, [], labels, names, task, reward)
    return dataset, prepare(dataset, Split(*rows))


def plain_trainer(network, build_loss, reward, task, data, replicas, **options):
    """What `train_replicas` does, without a program: a linear model, full batches, a few steps."""
    columns = {"binary": 1, "multilabel": LABELS}.get(task, options["num_classes"])
    trained = []
    for replica, arrays in zip(replicas, data, strict=True):
        loss_of = build_loss(dict(replica.hyper))
        train_x, valid_x, test_x = (
            tf.constant(np.c_[rows, np.ones(len(rows))], tf.float32)
            for rows in (arrays.x_train, arrays.x_valid, arrays.x_test)
        )
        shape = [train_x.shape[1], columns]
        weights = tf.Variable(tf.random.stateless_normal(shape, [replica.seed, 2]) / 10)
        mean = square = tf.zeros(shape)
        for step in range(1, 9):
            with tf.GradientTape() as tape:
                loss = loss_of(tf.constant(arrays.y_train), train_x @ weights)
            gradient = tape.gradient(loss, weights)
            mean, square = 0.9 * mean + 0.1 * gradient, 0.9 * square + 0.1 * gradient**2
            rate = 0.15 * (1 - 0.9**step) ** 0.5 / (1 - 0.9**step)
            weights.assign_sub(rate * mean / (tf.sqrt(square) + 1e-7))
        valid, test = ((rows @ weights).numpy() for rows in (valid_x, test_x))
        trained.append(
            Trained(
                seed=replica.seed, best_epoch=0, history={"val_reward": [0.0]}, valid_outputs=valid,
                test_outputs=test, weights=[], diverged=not np.isfinite(test).all(), steps=8,
                seconds=0.0, reward_evaluations=0, stacked=False,
            )
        )  # fmt: skip
    return trained


def size_of(name):
    """Boosting takes seconds on the usual size."""
    return SMALL if "boosting" in name else USUAL


def runs_of(name, task, **how):
    """The runs of a method, one for each drawing."""
    size = size_of(name)
    drawn = {seed: drawing(task, seed, size, **how) for seed in range(size.drawings)}
    settings = dataclasses.replace(SETTINGS, methods=(name,))
    (job,) = plan(settings, [drawn[0][0]])
    parts = {seed: arrays for seed, (_, arrays) in drawn.items()}
    if job.method.build is not None:
        return train._train_networks(job, parts, Progress())
    with threadpool_limits(1):  # threads that wait for one another take long
        return [train._fit_predictor(job, parts[seed], seed) for seed in parts]


def means(runs):
    """Mean accuracy of the default decisions, and of the tuned ones."""
    assert not any(run.diverged for run in runs)
    return [float(np.mean([getattr(run, column) for run in runs])) for column in ("plain", "tuned")]


def chance(task, size=USUAL):
    """The mean of the accuracy that knows nothing, and how far chance reaches around it."""
    share = 1 / TASKS[task][1]
    return share, SIGMAS * np.sqrt(share * (1 - share) / (size.clusters - 1) / size.drawings)


#: Persistence learns nothing that could leak, and needs a series; the decision of the largest
#: expected F reads no labels, and has no accuracy.
CASES = [
    (name, task)
    for name, method in METHODS.items()
    for task, (reward, K) in TASKS.items()
    if task in method.tasks
    and method.reads == "features"
    and not method.best_of
    and can_tune(method.tuning, Scorer.of(reward, task, K).reward, K)
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), CASES)
def test_permuted_training_labels_give_chance_on_the_test_part(name, task, monkeypatch):
    monkeypatch.setattr(train, "train_replicas", plain_trainer)
    share, reach = chance(task, size_of(name))
    assert np.abs(np.subtract(means(runs_of(name, task)), share)).max() <= reach


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("logistic_regression", "binary"),
        ("policy_gradient", "ordinal"),
        pytest.param("logistic_regression", "ordinal", marks=pytest.mark.slow),
        pytest.param("policy_gradient", "binary", marks=pytest.mark.slow),
    ],
)
@pytest.mark.few(1)
def test_permuted_labels_give_chance_and_true_ones_or_a_leak_do_not(name, task, monkeypatch):
    """The test above for a few methods; and so that it can fail."""
    monkeypatch.setattr(train, "train_replicas", plain_trainer)
    share, reach = chance(task)
    permuted, true, leaking = (
        means(runs_of(name, task, **how)) for how in ({}, {"permuted": False}, {"leaking": True})
    )
    assert np.abs(np.subtract(permuted, share)).max() <= reach
    assert min(true) > share + 2 * reach
    # What leaks is seen in the column whose decision the permuted validation labels do not tune.
    assert max(leaking) > share + reach


@pytest.mark.slow
def test_the_compiled_trainer_leaks_nothing_either():
    """One stack, of which the first replicas have permuted labels."""
    P = USUAL.drawings
    drawn = [drawing("binary", seed, permuted=seed < P) for seed in range(2 * P)]
    settings = dataclasses.replace(SETTINGS, methods=("policy_gradient",), seeds=2 * P)
    (job,) = plan(settings, [drawn[0][0]])
    parts = {seed: arrays for seed, (_, arrays) in enumerate(drawn)}
    runs = train._train_networks(job, parts, Progress())
    share, reach = chance("binary")
    assert np.abs(np.subtract(means(runs[:P]), share)).max() <= reach
    assert min(means(runs[P:])) > share + 2 * reach
