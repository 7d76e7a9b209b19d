"""A replica's gradient in a stack equals its own alone, for every method of the table."""

import types

import numpy as np
import pytest
import tensorflow as tf

from policygrad_metrics.core.draws import keyed_by
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.study.methods import METHODS, TaskInfo
from policygrad_metrics.training import Network, Replica, train_replicas

R, N = 3, 24
REWARDS = {"binary": "f1", "ranking": "average_precision", "ordinal": "cohen_kappa_quadratic"}
#: A warm start is another order of the same losses, another tuning comes after them.
NETWORKS = [
    n for n, row in METHODS.items() if row.build and row.tuning == "auto" and row.warm_start == 0
]


#: One of each kind: draws, states, hyper-parameters that are tensors, another network.
KINDS = {
    *("cross_entropy", "soft_f1", "sol_mixed", "policy_gradient", "policy_gradient_running"),
    *("reinforce_moving_average", "relaxed_one_hot", "cumulative_link_policy_gradient"),
}


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in KINDS else pytest.mark.slow) for n in NETWORKS]
)
def test_gradients_in_a_stack_equal_those_alone(name):
    """Each replica has its own outputs, labels, seed and hyper-parameters.

    Gradients are sums over 24 rows in float32: some 1e-6 of the largest.
    """
    method, rng = METHODS[name], np.random.default_rng(0)
    task = next(task for task in REWARDS if task in method.tasks)
    K, D = (3, 3) if task == "ordinal" else (2, 1)
    labels = np.stack([rng.permutation(np.arange(N) % K) for _ in range(R)])
    info = TaskInfo.of(task, REWARDS[task], labels[0], K)
    outputs = tf.constant(rng.normal(size=[R, N, D]), tf.float32)
    y, seeds = tf.constant(labels, tf.int32), tf.constant([[0, 5], [1, 5], [7, 5]], tf.int32)
    scales = tf.constant([0.8, 1.0, 1.2])

    def gradient(single):
        logits, truth, seed, scale = single
        hyper = {key: scale * value if value else value for key, value in method.defaults.items()}
        loss_of = method.loss(info, hyper)
        with tf.GradientTape() as tape, keyed_by(seed):
            tape.watch(logits)
            if isinstance(loss_of, PolicyGradientLoss):
                start = tf.nest.map_structure(tf.convert_to_tensor, loss_of.initial_state(K))
                loss, _ = loss_of.stateless_call(truth, logits, start)
            else:
                loss = loss_of(truth, logits)
        return tape.gradient(loss, logits)

    stacked = tf.vectorized_map(gradient, (outputs, y, seeds, scales), warn=False).numpy()
    for r in range(R):
        alone = gradient((outputs[r], y[r], seeds[r], scales[r])).numpy()
        np.testing.assert_allclose(stacked[r], alone, atol=5e-6 * max(np.abs(alone).max(), 1e-3))
        assert np.isfinite(alone).all()


#: Keras decides by a condition whether labels are 0 / 1, which XLA cannot compile in a stack.
OF_KERAS = [
    pytest.param(n, marks=() if n == "keras_hinge" else pytest.mark.slow)
    for n in NETWORKS
    if n.startswith("keras_")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_KERAS)
def test_the_losses_of_keras_are_stacked_and_compiled(name):
    """Otherwise the trainer warns, and warnings are errors here."""
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    half = {"x_train": x[:30], "y_train": y[:30], "x_valid": x[30:], "y_valid": y[30:]}
    info = TaskInfo.of("binary", "f1", y, 2)
    runs = train_replicas(
        network=Network((4,)),
        build_loss=lambda hyper: METHODS[name].loss(info, hyper),
        reward="f1",
        task="binary",
        data=types.SimpleNamespace(**half, x_test=x),
        replicas=[Replica(seed, 0.01, METHODS[name].defaults) for seed in (0, 1)],
        epochs=1,
        batch_size=15,
    )
    assert [run.stacked for run in runs] == [True, True]
