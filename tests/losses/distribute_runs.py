"""What test_distribute.py runs outside of its own process: prints one JSON object, case by case.

    python distribute_runs.py FOLDER [CASE ...]

Logical devices and clusters are global settings, so each case is a fork of this process, which has
imported TensorFlow and not used it.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.core.batch import canonical_batch
from policygrad_metrics.estimators import ESTIMATORS
from policygrad_metrics.estimators.base import SamplingEstimator
from policygrad_metrics.estimators.literature import GumbelSoftmax

SPLITS = ((4, 5), (7, 2), (9, 0))
#: A reward of each form and layout, of several classes and of several label columns.
KINDS = (
    *("f1_macro", "f1_micro", "f1_weighted", "f0.5_macro", "precision_macro", "recall_macro"),
    *("specificity_macro", "accuracy", "balanced_accuracy", "cohen_kappa_quadratic"),
)
MULTILABEL_KINDS = (
    *("f1_macro", "f1_micro", "f1_samples", "f1_weighted", "precision_samples"),
    *("specificity_macro", "accuracy", "hamming"),
)
rng = np.random.default_rng(0)


def two_devices():
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def on_replicas(strategy, function, split, *arrays):
    """Call `function` on every replica with its share of the arrays; a list of what comes back."""
    ends = np.cumsum([0, *split])

    def share(context, array):
        k = context.replica_id_in_sync_group
        return tf.constant(array[ends[k] : ends[k + 1]])

    shares = [
        strategy.experimental_distribute_values_from_function(lambda c, a=array: share(c, a))
        for array in arrays
    ]
    results = strategy.run(function, args=shares)
    parts = [strategy.experimental_local_results(x) for x in tf.nest.flatten(results)]
    return [[np.asarray(x) for x in part] for part in parts]


def problem(columns=0, K=3):
    logits = rng.normal(size=(9, columns) if columns else (9, K)).astype("float32")
    y = rng.integers(0, 2 if columns else K, size=logits.shape if columns else 9)
    return logits, y, rng.uniform(0.5, 2.0, size=9).astype("float32")


def gap(mine, whole):
    return float(np.abs(np.asarray(mine) - np.asarray(whole)).max())


def loss_case(strategy, loss, split, logits, y, *weight):
    """The largest difference in loss and gradient between replicas and a single device."""

    def step(logits, y, *weight):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(y, logits, *weight)
        return value, tape.gradient(value, logits)

    value, gradient = step(*(tf.constant(x) for x in (logits, y, *weight)))
    values, gradients = on_replicas(strategy, step, split, logits, y, *weight)
    # Keras has divided each replica's loss by two; the replica without examples has no loss.
    values = [2 * v for v, size in zip(values, split, strict=True) if size]
    return max(gap(values, value), gap(np.concatenate(gradients), gradient))


def rewards_case(folder):
    """Loss and gradient of every kind of reward with an exact expectation."""
    strategy, gaps = two_devices(), {}

    def share_of_alarms(y_true, weight, num_classes):
        one = tf.one_hot(1, num_classes) * weight[:, None]
        return one * tf.one_hot(y_true, num_classes), one, 0.0, tf.reduce_sum(weight) / 9.0

    ratio = pgm.rewards.RatioReward(share_of_alarms, "share_of_alarms")
    tasks = [("f1", "auto", problem(K=2)), (ratio, "auto", problem())]
    tasks += [(name, "auto", problem()) for name in KINDS]
    tasks += [(name, "sigmoid", problem(columns=4)) for name in MULTILABEL_KINDS]
    for place, (reward, policy, (logits, y, weight)) in enumerate(tasks):
        loss = pgm.PolicyGradientLoss(reward, policy=policy, entropy=0.1)
        weights = [weight] if place % 2 else []
        name = f"{loss.reward.name} {policy}"
        gaps[name] = loss_case(strategy, loss, SPLITS[place % 3], logits, y, *weights)
    return gaps


def relaxed_half(estimator, logits, reward, y, labels, uniform, weight=None):
    """Value and gradient from given labels `[N, S]` and uniforms `[N, noises, S, K]`."""
    case = estimator.problem(canonical_batch(logits, y, weight, False), reward)
    uniform = tf.transpose(uniform, [1, 2, 0, 3])[..., None, :]
    values, gradients = estimator.terms(case, tf.transpose(labels)[..., None], uniform, ())
    return tf.reduce_mean(values), tf.reduce_mean(gradients, axis=0)[:, 0]


def estimators_case(folder):
    """Every estimator: those that draw from the same label sets, in their deterministic half."""
    strategy, gaps = two_devices(), {}
    black_box = pgm.rewards.BlackBox(
        lambda y, a: float(((y == a) * np.arange(1, len(y) + 1)).mean())
    )
    counted = pgm.rewards.BlackBox(lambda y, a: float((y == a).mean() ** 2), counts=True)
    rewards = {"black box": black_box, "counted calls": counted}
    rewards |= {name: pgm.get_reward(name) for name in ("f1_macro", "worst_class_recall")}
    for name, kind in ESTIMATORS.items():
        for place, (label, reward) in enumerate(rewards.items()):
            K = 2 if name == "disarm" else 3
            logits, y, weight = problem(K=K)
            estimator, arrays = kind(), [logits, y]
            relaxed = isinstance(estimator, GumbelSoftmax)
            if relaxed or isinstance(estimator, SamplingEstimator):
                arrays.append(rng.integers(0, K, size=(9, estimator.samples)))
            elif kind.stochastic:
                continue
            if relaxed:
                shape = (9, estimator.noises, estimator.samples, K)
                arrays.append(rng.uniform(0.05, 0.95, size=shape).astype("float32"))
            weighted = place > 1
            arrays += [weight] * weighted

            def estimate(logits, y, *more, estimator=estimator, reward=reward, weighted=weighted):
                options = {"sample_weight": more[-1]} if weighted else {}
                if isinstance(estimator, GumbelSoftmax):
                    return relaxed_half(estimator, logits, reward, y, *more)
                if isinstance(estimator, SamplingEstimator):
                    labels = tf.transpose(more[0])
                    result = estimator.from_samples(logits, reward, y, labels, **options)
                else:
                    result = estimator(logits, reward, y, **options)
                return result.value, result.gradient

            try:
                value, gradient = estimate(*map(tf.constant, arrays))
            except TypeError:  # this estimator does not serve this reward
                continue
            try:
                values, gradients = on_replicas(strategy, estimate, SPLITS[place % 3], *arrays)
            except ValueError as error:
                if "under a tf.distribute strategy" not in str(error):
                    raise
                continue
            values_and_gradients = max(gap(values, value), gap(np.concatenate(gradients), gradient))
            gaps[f"{name} {label}"] = values_and_gradients
    return gaps


def data():
    x = np.random.default_rng(0).normal(size=(41, 4)).astype("float32")
    return x, np.argmax(x[:, :3] + 0.3 * x[:, 1:], axis=1)


def own_accuracy(y_true, y_pred):
    return (y_true == y_pred).mean()


class KillAt(keras.callbacks.Callback):
    """SIGKILL in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.now = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch:
            os.kill(os.getpid(), signal.SIGKILL)


def train(strategy, folder, kind, *callbacks, epochs=4):
    """Weights and history of a fit whose last batch holds one example."""
    x, y = data()
    with strategy.scope() if strategy else contextlib.nullcontext():
        start = [keras.initializers.GlorotUniform(seed=seed) for seed in (0, 1)]
        inputs = keras.layers.Input((4,))
        hidden = keras.layers.Dense(8, "tanh", kernel_initializer=start[0])(inputs)
        outputs = keras.layers.Dense(3, kernel_initializer=start[1])(hidden)
        model = kind(inputs, outputs)
        loss = pgm.PolicyGradientLoss("f1_macro")
        metrics = [pgm.RewardMetric("f1_macro"), pgm.RewardMetric(own_accuracy)]
        model.compile(keras.optimizers.SGD(0.5), loss, metrics=metrics, jit_compile=False)
    batches = pgm.training.shuffled_batches(x, y, batch_size=20, seed=1)
    backup = pgm.BackupAndRestore(folder, also=[batches])
    validation = tf.data.Dataset.from_tensor_slices((x, y)).batch(20)
    history = model.fit(batches, epochs=epochs, shuffle=False, verbose=0,
                        validation_data=validation, callbacks=[backup, *callbacks])  # fmt: skip
    return [w.tolist() for w in model.get_weights()], history.history


def mirrored_case(folder):
    strategy = two_devices()
    weights, history = train(strategy, folder / "mirrored", keras.Model)
    whole, whole_history = train(None, folder / "single", keras.Model)
    gaps = [gap(a, b) for a, b in zip(weights, whole, strict=True)]
    gaps += [gap(history[name], whole_history[name]) for name in whole_history]
    found = {**refusals(strategy), **draws(strategy), **black_box_fit(strategy)}
    return {"gap": max(gaps), "names": sorted(history), **found}


def refusals(strategy):
    """What a loss says to what cannot work under a strategy."""
    logits, y, _ = problem()
    with strategy.scope():
        remembers = pgm.PolicyGradientLoss("f1_macro", gradient_estimator=moving_average())
    losses = {
        "sum": pgm.PolicyGradientLoss("f1_macro", reduction="sum"),
        "enumerate": pgm.PolicyGradientLoss("f1_macro", gradient_estimator="enumerate"),
        "running_counts": pgm.PolicyGradientLoss("f1_macro", running_counts=True),
        "outside": pgm.PolicyGradientLoss("f1_macro", gradient_estimator=moving_average()),
        "inside": remembers,
    }
    said = {}
    for name, loss in losses.items():
        try:
            loss_of = lambda logits, y, loss=loss: loss(y, logits)  # noqa: E731
            on_replicas(strategy, loss_of, (4, 5), logits, y)
            said[name] = ""
        except ValueError as error:
            said[name] = str(error)
    settings = {"steps": {"steps_per_execution": 2}, "jit": {"jit_compile": True}}
    for name, options in settings.items():
        try:
            with strategy.scope():
                inputs = keras.layers.Input((4,))
                model = pgm.training.DistributedModel(inputs, keras.layers.Dense(3)(inputs))
                model.compile("sgd", losses["inside"], **options)
                model.make_train_function()
        except ValueError as error:
            said[name] = str(error)
    said["plain steps"] = plain_model_says(strategy, losses["inside"])
    try:
        with tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:1"]).scope():
            pgm.PolicyGradientLoss("f1_macro")
    except ValueError as error:
        said["strategy"] = str(error)
    return {"said": said}


def plain_model_says(strategy, loss):
    """The error of `fit` with several steps per execution, which a plain model does not refuse."""
    with strategy.scope():
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
        model.compile("sgd", loss, steps_per_execution=3)
    try:
        model.fit(*data(), batch_size=20, verbose=0)
    except ValueError as error:
        return str(error)
    return ""


def black_box_fit(strategy):
    """What a Python reward is called on, and the loss of an epoch."""
    sizes = set()

    def own(y_true, y_pred):
        sizes.add(len(y_true))
        return (y_true == y_pred).mean()

    with strategy.scope():
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
        model.compile(
            "sgd", pgm.PolicyGradientLoss(own, gradient_estimator=pgm.estimators.Reinforce(4))
        )
    history = model.fit(*data(), batch_size=20, verbose=0).history
    return {"sizes": sorted(sizes), "black box loss": history["loss"][0]}


def moving_average():
    return pgm.estimators.Reinforce(4, "moving_average")


def draws(strategy):
    """Equal logits on both replicas must not mean equal draws."""
    loss = pgm.PolicyGradientLoss("f1_macro", gradient_estimator="reinforce", cross_entropy=0.0)
    logits, y = np.zeros([8, 3], np.float32), np.tile([0, 1, 2, 0], 2)

    def gradient(logits, y):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(y, logits)
        return tape.gradient(value, logits)

    ((first, second),) = on_replicas(strategy, gradient, (4, 4), logits, y)
    return {"draws differ": gap(first, second) > 1e-3}


def workers_case(folder):
    """Two processes; the second kills itself in the third epoch; all start again."""
    exits = []
    for sitting in range(2):
        ports = free_ports(2)
        pids = [fork(worker, folder, ports, k, sitting) for k in range(2)]
        exits.append([os.waitstatus_to_exitcode(os.waitpid(pids[1], 0)[1])])
        deadline = time.monotonic() + 2.0
        done, status = os.waitpid(pids[0], os.WNOHANG)
        while sitting == 0 and not done and time.monotonic() < deadline:
            time.sleep(0.05)
            done, status = os.waitpid(pids[0], os.WNOHANG)
        if not done:
            if sitting == 0:  # a cluster's manager ends the workers that wait for a lost one
                os.kill(pids[0], signal.SIGKILL)
            status = os.waitpid(pids[0], 0)[1]
        exits[-1].append(os.waitstatus_to_exitcode(status))
    os.waitpid(fork(single, folder), 0)
    outcomes = [json.loads((folder / f"worker{k}.json").read_text()) for k in range(2)]
    (first, history), (second, _) = outcomes
    whole, whole_history = json.loads((folder / "single.json").read_text())
    gaps = [gap(a, b) for a, b in zip(first, whole, strict=True)]
    gaps += [gap(history[name], whole_history[name][-2:]) for name in whole_history]
    return {"exits": exits, "gap": max(gaps), "workers agree": first == second,
            "epochs": len(history["loss"]), "left": (folder / "backup").exists()}  # fmt: skip


def single(folder):
    result = train(None, folder / "alone", keras.Model)
    (folder / "single.json").write_text(json.dumps(result))


def worker(folder, ports, index, sitting):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    kill = [KillAt(2)] if (sitting, index) == (0, 1) else []
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    result = train(strategy, folder / "backup", pgm.training.DistributedModel, *kill)
    (folder / f"worker{index}.json").write_text(json.dumps(result))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def fork(function, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


IN_A_FORK = {"rewards": rewards_case, "estimators": estimators_case, "mirrored": mirrored_case}


def main(folder, cases):
    results = {}
    for name, case in IN_A_FORK.items():
        if name in cases:
            path = folder / f"{name}.json"
            pid = fork(lambda case=case, path=path: path.write_text(json.dumps(case(folder))))
            os.waitpid(pid, 0)
            results[name] = json.loads(path.read_text())
    if "workers" in cases:
        results["workers"] = workers_case(folder)
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or [*IN_A_FORK, "workers"])
