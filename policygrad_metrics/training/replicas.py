"""Train R replicas of one network at once, with early stopping on the reward itself; and anew."""

from __future__ import annotations

import dataclasses
import itertools
import time
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.estimators import LocalExpectation, Reinforce, strongest_estimator
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.training import inputs
from policygrad_metrics.training.optimizer import Update, read_optimizer
from policygrad_metrics.training.program import Loss, State
from policygrad_metrics.training.records import Buildable, Parts, Replica, Trained, TrainingSettings
from policygrad_metrics.training.stack import OnEpoch, Plan, Stack


def train_replicas(
    network: Buildable,
    build_loss: Callable[[dict[str, Any]], Loss],
    reward: str | Reward | Callable[..., float],
    task: str,
    data: Parts | Sequence[Parts],
    replicas: Sequence[Replica],
    *,
    on_epoch: OnEpoch | None = None,
    **settings: Any,
) -> list[Trained]:
    """Train replicas of one network, all in one compiled program.

    Each replica has its own initial weights, data order, dropout, learning rate and
    hyper-parameters. Replica r equals the same replica trained alone, to float32 rounding:
    everything random is keyed by its seed and its step. It keeps the weights of the epoch with the
    highest validation reward; of several such epochs, of the last.

    An epoch is `ceil(N / batch_size)` batches of equal size, so that no batch is too small to score
    a reward on: 257 examples with `batch_size=256` make two batches of 129. Nothing is dropped;
    fewer examples than there are batches come twice, those that the epoch's order starts with.

    Args:
        network: a `Network`, or anything with `build(features, outputs, seed) -> keras.Model`.
        build_loss: takes hyper-parameters by name and gives `loss(y_true, outputs) -> scalar`.
        reward: what is validated and stops a replica; as for `PolicyGradientLoss`.
        task: "binary" (one output column), "multiclass", "ordinal" (K columns), or "multilabel"
            (one column per label).
        data: arrays `x_train, y_train, x_valid, y_valid, x_test`, such as `prepare` returns; or one
            such for each replica, all of the same shapes. One that several replicas have in
            common should be the same object: it is then kept once.
        replicas: what differs between the replicas.
        on_epoch: called as `on_epoch(epoch, val_reward)` after each, with the rewards of the
            replicas in training, by their place in `replicas`.
        settings: the fields of `TrainingSettings` by name: `epochs`, `batch_size`, `optimizer`,
            `patience` and so on.

    Returns:
        One `Trained` per replica, in their order.

    Raises:
        ValueError: an argument is out of range, or arrays do not fit; a hyper-parameter that
            differs between replicas is no number; the loss is no scalar.

    Warns:
        UserWarning: the network or the loss cannot be stacked or compiled; it is then trained
            one replica at a time, or without XLA.

    >>> import numpy as np, types, policygrad_metrics as pgm
    >>> from policygrad_metrics.training import Network, Replica, train_replicas
    >>> x = np.linspace(-1, 1, 60, dtype="float32")[:, None]
    >>> y = (x[:, 0] > 0.5).astype(int)
    >>> parts = types.SimpleNamespace(
    ...     x_train=x, y_train=y, x_valid=x, y_valid=y, x_test=x)
    >>> runs = train_replicas(
    ...     Network((8,)), lambda hyper: pgm.PolicyGradientLoss("f1", **hyper), "f1", "binary",
    ...     parts, [Replica(0, 0.1), Replica(1, 0.1, {})], epochs=10, batch_size=30)
    >>> [round(max(run.history["val_reward"]), 1) for run in runs]
    [1.0, 1.0]
    """
    started = time.perf_counter()
    plan, losses = _plan(
        network, build_loss, reward, task, data, tuple(replicas), TrainingSettings(**settings)
    )
    shared, _ = inputs.split_hyperparameters(replicas)
    stack, groups = _start(
        plan,
        lambda hyper: build_loss({**shared, **hyper}),
        stacked=plan.settings.stacked and len(replicas) > 1,
        compiled=_compiles(losses[0]),
    )
    trained = []
    for places in groups:
        stack.begin(places)
        trained += stack.train(on_epoch)
    return _with_seconds(trained, time.perf_counter() - started)


def _plan(network, build_loss, reward, task, data, replicas, settings):
    """Check everything, and what is to be trained; and the replicas' losses."""
    values = settings.policy is not None
    policy: Any = settings.policy if values else inputs.task_policy(task)
    inputs.check_lengths(settings.lengths, len(replicas), settings.epochs)
    _, hyper = inputs.split_hyperparameters(replicas)
    arrays, which = inputs.arrays(data, task, len(replicas), values=settings.policy)
    columns = (
        policy.output_columns
        if values
        else inputs.output_columns(task, arrays, settings.num_classes)
    )
    model, initial = inputs.build_models(network, arrays["x_train"].shape[-1], columns, replicas)
    losses = [build_loss(dict(replica.hyper)) for replica in replicas]
    rule, own_rate = read_optimizer(settings.optimizer)
    update, outputs = Update(rule, model), tf.zeros([1, columns])
    memory = _loss_state(losses[0], policy, outputs)

    def first(replica):
        rate = own_rate if replica.learning_rate is None else replica.learning_rate
        weights, others = initial[replica.seed]
        return State.first(weights, update.initial(rate), others, memory)

    metric = get_reward(reward)
    if values:
        arrays["y_valid"] = policy.level_of(tf.constant(arrays["y_valid"])).numpy()
    plan = Plan(
        model=model,
        update=update,
        policy=policy,
        reward=metric.for_multilabel() if columns > 1 and task == "multilabel" else metric,
        examples=inputs.Examples.of(arrays, which),
        replicas=replicas,
        hyper=hyper,
        settings=settings,
        first=first,
        columns=columns,
        label_sets=_label_sets(losses[0], policy, outputs),
    )
    rows = plan.batch_shape[1]
    inputs.check_loss(losses[0], model, arrays["x_train"][0, :rows], arrays["y_train"][0, :rows])
    return plan, losses


def _start(plan, build_loss, *, stacked, compiled):
    """A stack that has been tried out, and the groups of replicas that it trains in turn."""
    everyone = list(range(len(plan.replicas)))
    cause = None
    # The fastest way first.
    ways = [(True, False) if possible else (False,) for possible in (stacked, compiled)]
    for together, xla in itertools.product(*ways):
        stack = Stack(plan, build_loss, stacked=together, compiled=xla)
        groups = [everyone] if together else [[place] for place in everyone]
        stack.begin(groups[0])
        try:
            stack.compile()
        except Exception as error:  # whatever a layer or a loss raises when it is traced
            cause = cause or error
            continue
        if cause is not None:
            warnings.warn(_complaint(stacked and not together, xla, cause), stacklevel=3)
        return stack, groups
    assert cause is not None
    raise cause


def _complaint(one_at_a_time, xla, error):
    ways = ["one replica at a time"] * one_at_a_time + ["without XLA"] * (not xla)
    cause = " ".join(str(error).split())
    if len(cause) > 800:  # what went wrong stands first or last, with frames between
        cause = f"{cause[:200]} ... {cause[-600:]}"
    return (
        "the network or its loss cannot be stacked and compiled: it is trained "
        f"{' and '.join(ways)}, which takes longer. Cause: {type(error).__name__}: {cause}"
    )


def _compiles(loss):
    """False for a reward in Python, which XLA would refuse; nothing is lost by not trying it."""
    return not (isinstance(loss, PolicyGradientLoss) and loss.reward.calls_python)


def _loss_state(loss, policy, outputs):
    if not isinstance(loss, PolicyGradientLoss):
        return ()
    layout = policy.layout(outputs)
    columns = outputs.shape[-1] if layout.multilabel else 1
    state = loss.initial_state(layout.num_classes, columns)
    if any(np.size(x) == 0 for x in state):
        raise ValueError(
            f"gradient_estimator={loss.gradient_estimator!r} remembers something whose size "
            f"the first batch decides, "
            "which replicas in one program cannot: name the proxies of a ControlVariate, or train "
            "with Keras's fit."
        )
    return state


def _label_sets(loss, policy, outputs):
    """Label sets that a sampling estimator draws in each step."""
    if not isinstance(loss, PolicyGradientLoss):
        return 0
    estimator, layout = loss.gradient_estimator, policy.layout(outputs)
    if estimator == "auto" and loss.reward.ranks:
        return 0
    if estimator == "auto":
        estimator = strongest_estimator(
            loss.reward.for_multilabel() if layout.multilabel else loss.reward,
            layout.num_classes,
            multilabel_columns=outputs.shape[-1] if layout.multilabel else 1,
        )
    return estimator.samples if isinstance(estimator, LocalExpectation | Reinforce) else 0


def _with_seconds(trained, seconds):
    """Share the time of the whole call by the steps that each replica made."""
    steps = sum(run.steps for run in trained)
    return [dataclasses.replace(run, seconds=seconds * run.steps / steps) for run in trained]


def refit_replicas(data: Parts, chosen: list[Trained], **how: Any) -> list[Trained]:
    """Train again on training and validation part together, as long as validation chose.

    Each replica starts from the same first weights and trains for `best_epoch + 1` epochs; an
    epoch has more steps, as there are more examples. In a series the newest examples, those most
    like the ones to come, are so not left out. Nothing is chosen here.

    Args:
        data: The three parts that `chosen` was trained on.
        chosen: What `train_replicas(data=data, **how)` returned.
        how: Its other arguments.

    Returns:
        As `chosen`, with weights and test outputs of the second training; `valid_outputs` and
        history stay those of the first, which had not seen the validation part. Steps, seconds and
        reward evaluations are those of both. A replica that diverged the first time stays as it
        was.
    """
    replicas = how.pop("replicas")
    places = [place for place, one in enumerate(chosen) if not one.diverged]
    if not places:
        return chosen
    both: Any = types.SimpleNamespace(
        x_train=np.concatenate([data.x_train, data.x_valid]),
        y_train=np.concatenate([data.y_train, data.y_valid]),
        x_valid=data.x_valid,
        y_valid=data.y_valid,
        x_test=data.x_test,
    )
    again = train_replicas(
        data=both,
        replicas=[replicas[place] for place in places],
        lengths=[chosen[place].best_epoch + 1 for place in places],
        **how,
    )
    found = list(chosen)
    for place, new in zip(places, again, strict=True):
        old = chosen[place]
        found[place] = dataclasses.replace(
            old,
            test_outputs=new.test_outputs,
            weights=new.weights,
            diverged=new.diverged,
            steps=old.steps + new.steps,
            seconds=old.seconds + new.seconds,
            reward_evaluations=old.reward_evaluations + new.reward_evaluations,
        )
    return found
