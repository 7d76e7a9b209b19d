"""`finetune`: tune a trained model on the metric, and spoil nothing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, TypedDict, Unpack

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core._compat import is_keras_2
from policygrad_metrics.core.checks import check_whole
from policygrad_metrics.estimators import Estimator
from policygrad_metrics.losses.base import refuse_keras_2
from policygrad_metrics.losses.outputs import final_activation, last_layer, model_policy
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY, PolicyGradientLoss
from policygrad_metrics.policies import Policy, Sigmoid, Softmax
from policygrad_metrics.rewards import BlackBox, Reward, get_reward
from policygrad_metrics.rewards.inequalities import Constraints
from policygrad_metrics.training.finetune_validation import FineTuned, Validation, labels_and_group
from policygrad_metrics.training.optimizer import Schedule, configured
from policygrad_metrics.training.order import hold_out
from policygrad_metrics.training.shuffling import number_of_examples, shuffled_batches
from policygrad_metrics.training.stopping import EarlyStopping

#: A third of Adam's own: the model is trained already.
LEARNING_RATE = 3e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuningSettings:
    """How `finetune` trains.

    Args:
        epochs: most epochs.
        batch_size: examples per batch of arrays; a batch should hold some of each class.
        optimizer: a name, or a Keras optimizer, of which the configuration counts.
        learning_rate: a number or a Keras schedule; smaller than what the model was trained with.
            None: 0.0003 for an optimizer by name, else the optimizer's own.
        policy: as for `PolicyGradientLoss`; "auto" asks the model's compiled loss first.
        gradient_estimator: as for `PolicyGradientLoss`.
        cross_entropy: as for `PolicyGradientLoss`.
        patience: epochs without a rise of the validation reward after which to stop; None for none.
        cautious: whether the tuned weights are only kept if the cross-fitted gain is positive.
        seed: of the order of the examples, the validation rows, their halves, and the loss.
        jit_compile: as for `compile`; a reward in Python is never compiled by XLA.
        verbose: as for `fit`.

    Raises:
        ValueError: a number is out of range.
    """

    epochs: int = 20
    batch_size: int = 256
    optimizer: str | keras.optimizers.Optimizer = "adam"
    learning_rate: float | Schedule | None = None
    policy: str | Policy = "auto"
    gradient_estimator: str | Estimator = "auto"
    cross_entropy: float = DEFAULT_CROSS_ENTROPY
    patience: int | None = 5
    cautious: bool = True
    seed: int = 0
    jit_compile: Any = "auto"
    verbose: Any = 0

    def __post_init__(self):
        check_whole("epochs", self.epochs, 1)
        check_whole("batch_size", self.batch_size, 1)
        check_whole("patience", self.patience, 1, or_none=True)
        self.keras_optimizer()

    def keras_optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimizer as asked for."""
        rate = self.learning_rate
        if rate is None and isinstance(self.optimizer, str):
            rate = LEARNING_RATE
        return configured(self.optimizer, rate)


class FineTuningOptions(TypedDict, total=False):
    """The fields of `FineTuningSettings`, for editors and type checkers."""

    epochs: int
    batch_size: int
    optimizer: str | keras.optimizers.Optimizer
    learning_rate: float | Schedule | None
    policy: str | Policy
    gradient_estimator: str | Estimator
    cross_entropy: float
    patience: int | None
    cautious: bool
    seed: int
    jit_compile: Any
    verbose: Any


def finetune(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    reward: str | Reward | Any,
    validation_data: Any = None,
    validation_split: float = 0.2,
    sample_weight: Any = None,
    subject_to: Any = None,
    **settings: Unpack[FineTuningOptions],
) -> FineTuned:
    """Tune a model that was trained with cross-entropy, say, on the metric itself.

    Trains the model's trainable weights with `PolicyGradientLoss(reward)`. After every epoch the
    reward of the decisions on validation data is taken; epoch 0 is the model as given. In the end
    the model holds the weights of the epoch with the highest reward (of several, of the last), or
    bit for bit those it came with if no epoch has a higher reward than those. How the model was
    compiled, its optimizer's state and its final softmax or sigmoid (left out while training) stay
    as they were; frozen layers stay frozen.

    The best of many epochs looks better than it is, on the data that chose it. So the gain is
    also measured where one half of the validation data chooses the epoch and the other half
    measures it, in turn and over ten divisions; with `cautious` the tuned weights are only kept if
    that gain is positive too.

    Args:
        model: a built model with one output, logits or probabilities.
        x: features: an array, a list or dictionary of arrays, or a `tf.data.Dataset` of batches
            `(x, y)` or `(x, y, sample_weight)`.
        y: the truth; None for a dataset.
        reward: as for `PolicyGradientLoss`.
        validation_data: `(x, y)` or `(x, y, sample_weight)`, or a dataset that gives the same
            batches every time; best of examples that the model has never seen.
        validation_split: without validation data, the share of the examples that is set aside,
            evenly over the classes. If the model was trained on these it is judged too well as it
            came, and less is found to gain.
        sample_weight: as for `fit`.
        subject_to: constraints as for `PolicyGradientLoss`; of those on groups the last column of
            y is the group, in the validation data too. After every epoch the decision is tuned
            under them on the validation data, with a margin of one standard error; the epoch is
            chosen whose tuned decision is best among those that keep them. `tuner` of the result
            is the decision to deploy.
        settings: the fields of `FineTuningSettings` by name: `epochs`, `batch_size`, `optimizer`,
            `learning_rate`, `policy`, `gradient_estimator`, `cross_entropy`, `patience`,
            `cautious`, `seed`, `jit_compile` and `verbose`.

    Returns:
        A `FineTuned`; printed, it says what was gained.

    Raises:
        ValueError: an argument is out of range, labels lie outside the classes, or the model ends
            in probabilities by other means than an activation of its last layer.

    >>> import keras, numpy as np, policygrad_metrics as pgm
    >>> x = np.linspace(-1, 1, 80, dtype="float32")[:, None]
    >>> model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, "sigmoid")])
    >>> result = pgm.finetune(model, x, x[:, 0] > 0.5, reward="f1", epochs=1, batch_size=64)
    >>> len(result.validation_rewards)  # as given, and after one epoch
    2
    """
    how = FineTuningSettings(**settings)
    _check_model(model)
    training: Any = x if y is None else (x, y) if sample_weight is None else (x, y, sample_weight)
    if validation_data is None:
        training, validation_data = _divided(training, validation_split, how.seed)
    if y is not None:
        training = shuffled_batches(*training, batch_size=how.batch_size, seed=how.seed)
    reward = _reward_of_labels(reward)
    with _without_final_activation(model) as had_activation:
        tuned = SameWeights(model)
        first: Any = next(iter(training))
        outputs: Any = tuned(first[0])
        groups = None
        if subject_to is not None:
            groups = Constraints.of(subject_to, abstains=reward.abstains).groups
        labels = labels_and_group(first[1], groups)[0]
        policy = model_policy(how.policy, model, labels, outputs)
        _check_logits(model, policy, outputs, had_activation)
        loss = PolicyGradientLoss(
            reward,
            policy,
            how.gradient_estimator,
            how.cross_entropy,
            seed=how.seed,
            subject_to=subject_to,
        )
        loss(first[1], outputs)  # says in Python what does not fit
        jit: Any = False if isinstance(reward, BlackBox) else how.jit_compile
        tuned.compile(how.keras_optimizer(), loss=loss, jit_compile=jit)
        validation = Validation(
            reward,
            policy,
            validation_data,
            outputs,
            batch_size=how.batch_size,
            seed=how.seed,
            subject_to=loss.subject_to,
        )
        return _Tuning(model, tuned, validation, how).train(training)


class SameWeights(keras.Model):
    """The same network with a life of its own as far as `compile` and `fit` are concerned."""

    def __init__(self, network: Any):
        super().__init__(dtype=network.dtype_policy)
        self.network = network

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.network(inputs, training=training)


class _Tuning:
    """Trains with Keras's `fit`, one epoch at a time, and keeps the weights of the best epoch."""

    def __init__(self, network: Any, tuned: Any, validation: Validation, how: FineTuningSettings):
        self.network = network
        self.tuned = tuned
        self.validation = validation
        self.how = how
        self.best_weights = network.get_weights()
        self.diverged = False
        given = validation.decisions(tuned)
        if given is None:
            raise ValueError("the model's outputs on the validation data are not all finite.")
        self.decisions, self.rewards = [given], [validation.score(given)]

    def train(self, training: Any) -> FineTuned:
        """Train, and leave the network with the weights to keep."""
        given_weights = self.best_weights
        to_beat = self.validation.standing(self.decisions[0], self.rewards[0])
        stopping = EarlyStopping(patience=self.how.patience, to_beat=to_beat)
        try:
            stopping.run(self.how.epochs, lambda epoch: self._epoch(training, epoch), self._keep)
        finally:  # even if someone interrupts
            self.network.set_weights(self.best_weights)
        best = int(stopping.best_epoch[0]) + 1
        result = FineTuned(
            reward=self.validation.reward_name,
            validation_rewards=tuple(self.rewards),
            best_epoch=best,
            cross_fitted_gain=self.validation.cross_fitted_gain(self.decisions) if best else 0.0,
            examples=len(self.validation.truth),
            cautious=self.how.cautious,
            diverged=self.diverged,
        )
        if not result.kept:
            self.network.set_weights(given_weights)
        return dataclasses.replace(
            result, tuner=self.validation.tuner_of(best if result.kept else 0)
        )

    def _epoch(self, training, epoch):
        """Train for an epoch; its validation reward, and whether outputs are still finite."""
        labels = self._trained(training, epoch)
        if labels is None:
            self.diverged = True
            return [0.0], [False]
        self.decisions.append(labels)
        self.rewards.append(self.validation.score(labels))
        return [self.validation.standing(labels, self.rewards[-1])], [True]

    def _trained(self, training, epoch):
        """The decisions after an epoch of Keras's `fit`, or None if numbers are not finite."""

        def stop(*_):
            self.tuned.stop_training = True

        try:
            self.tuned.fit(
                training,
                initial_epoch=epoch,
                epochs=self.how.epochs,
                shuffle=False,
                verbose=self.how.verbose,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stop)],
            )
        except tf.errors.InvalidArgumentError as error:  # without XLA, NaN is an error of the loss
            if "NaN or infinite" not in str(error):
                raise
            return None
        return self.validation.decisions(self.tuned)

    def _keep(self, _):
        self.best_weights = self.network.get_weights()


def _check_model(model):
    refuse_keras_2("finetune", is_keras_2(model))
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model; it is {type(model).__name__}.")
    if not model.built or not model.trainable_variables:
        raise ValueError("the model must be built and have weights that are not frozen.")


def _reward_of_labels(reward):
    reward = get_reward(reward)
    if reward.ranks or reward.reads_costs:
        why = "scores a ranking" if reward.ranks else "reads the costs of each example"
        raise ValueError(
            f"finetune measures decisions by labels alone, and reward={reward.name!r} {why}: "
            "compile with PolicyGradientLoss and RewardMetric of it, and fit."
        )
    return reward


@contextlib.contextmanager
def _without_final_activation(model: keras.Model) -> Iterator[bool]:
    """While inside, the model returns logits; yields whether it returned probabilities before."""
    layer: Any = final_activation(model)
    if layer is None:
        yield False
        return
    activation = layer.activation
    layer.activation = keras.activations.linear
    try:
        yield True
    finally:
        layer.activation = activation


def _check_logits(model, policy, outputs, had_activation):
    """Raise if these are probabilities after all, which the policy would take for logits."""
    if had_activation or not isinstance(policy, Softmax | Sigmoid):
        return
    if getattr(last_layer(model), "activation", None) is keras.activations.linear:
        return
    p = np.asarray(outputs, np.float64)
    sum_to_one = isinstance(policy, Sigmoid) or (np.abs(p.sum(axis=-1) - 1.0) < 1e-3).all()
    if p.min() >= 0.0 and p.max() <= 1.0 and sum_to_one:
        raise ValueError(
            f"the outputs of model {model.name!r} look like probabilities, and its last layer has "
            "no softmax or sigmoid that could be left out while training. Give a model that ends "
            "in logits, or whose last layer is Dense or Activation with that activation."
        )


def _divided(parts, share, seed):
    """Examples to train on and examples to validate on."""
    if not 0.0 < share < 1.0:
        raise ValueError(
            f"validation_split must lie between 0 and 1; it is {share!r}. Give validation_data if "
            "the examples for validation are set aside already."
        )
    if not isinstance(parts, tuple):
        raise ValueError("validation_data must be given where x is a dataset.")
    count = number_of_examples(parts)
    held = hold_out(np.asarray(parts[1]), share, seed)
    if not 0 < len(held) < count:
        raise ValueError(
            f"validation_split={share} of {count} examples leaves one part empty: give "
            "validation_data, or more examples."
        )
    rest = np.setdiff1d(np.arange(count), held)
    return tuple(
        keras.tree.map_structure(lambda array, rows=rows: np.asarray(array)[rows], parts)
        for rows in (rest, held)
    )
