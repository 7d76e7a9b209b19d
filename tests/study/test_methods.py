"""The table of methods: every row builds, has a finite gradient, and points the right way."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from threadpoolctl import threadpool_limits

from policygrad_metrics.core.draws import as_seed
from policygrad_metrics.decision import DecisionTuner, plain_rule
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.methods import (
    LEARNING_RATE,
    LEARNING_RATE_SCALE,
    METHODS,
    TASKS,
    Choice,
    Method,
    TaskInfo,
    get_method,
    trial_hyperparameters,
)
from policygrad_metrics.study.methods.relaxed_methods import relaxed_one_hot, straight_through

REWARDS = {
    "binary": "f1",
    "multiclass": "f1_macro",
    "ordinal": "cohen_kappa_quadratic",
    "multilabel": "f1_macro",
    "ranking": "average_precision",
}
NETWORKS = [(n, t) for n, m in METHODS.items() if m.build for t in TASKS if t in m.tasks]
PREDICTORS = [
    (n, t)
    for n, m in METHODS.items()
    if m.predictor and m.reads == "features"
    for t in TASKS
    if t in m.tasks
]


def problem(task, size=12, seed=0):
    """Labels with every class, and outputs that lean towards them by half a unit."""
    rng = np.random.default_rng(seed)
    if task == "multilabel":
        y = rng.integers(0, 2, (size, 3))
        y[0], y[1] = 0, 1
        info = TaskInfo.of(task, REWARDS[task], y, 2)
        outputs = 0.5 * (2 * y - 1)
    else:
        K = 2 if task in ("binary", "ranking") else 4
        y = np.arange(size) % K
        y[-3:] = 0  # imbalanced
        info = TaskInfo.of(task, REWARDS[task], y, K)
        outputs = 0.5 * (2 * y[:, None] - 1) if K == 2 else 0.5 * np.eye(K)[y]
    noise = 0.1 * rng.normal(size=outputs.shape)
    return info, tf.constant(y), tf.constant(outputs + noise, tf.float32)


def value_and_gradient(loss, y, outputs, weight=None):
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = loss(y, outputs, weight)
    return value, tape.gradient(value, outputs)


def test_the_table_has_every_baseline():
    asked = """majority cross_entropy weighted_cross_entropy focal soft_f1 soft_f1_mixed
    double_soft_f1 double_soft_f1_mixed sol anyloss sigmoid_f1 lovasz lovasz_mixed soft_kappa
    policy_gradient policy_gradient_pure policy_gradient_warm reinforce_none
    reinforce_moving_average reinforce_greedy reinforce_leave_one_out local_expectation
    straight_through relaxed_one_hot tanh_steps staircase_steps cumulative_link
    cumulative_link_policy_gradient level_mse level_mae level_huber
    keras_mean_squared_error keras_mean_absolute_error keras_mean_absolute_percentage_error
    keras_huber keras_binary_crossentropy keras_categorical_crossentropy keras_hinge
    keras_kl_divergence keras_cosine_similarity logistic_regression gradient_boosting
    logistic_regression_balanced gradient_boosting_balanced cross_entropy_frank_wolfe
    sord oll cdw slace ranked_probability_score corn clm clm_policy_gradient
    cross_entropy_expected_f boosting_cross_entropy boosting_weighted boosting_policy_gradient"""
    assert set(asked.split()) <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_rows_are_complete(name):
    row = METHODS[name]
    assert row.name == name
    assert row.summary
    assert "\n" not in row.summary
    assert len(row.summary) <= 90
    assert row.paper
    assert row.tasks <= set(TASKS)
    assert row.tasks
    assert plain_rule(row.decision, 3)
    assert 0.0 <= row.warm_start < 1.0


def test_names_and_summaries_differ():
    summaries = [row.summary for row in METHODS.values()]
    assert len(set(summaries)) == len(summaries)
    others = sum(len(m.tasks) for m in METHODS.values() if m.reads == "last_label" or m.best_of)
    assert sum(len(m.tasks) for m in METHODS.values()) == len(NETWORKS + PREDICTORS) + others


@pytest.mark.few(80)
@pytest.mark.parametrize(("name", "task"), NETWORKS)
def test_loss_and_gradient_are_finite_and_point_the_right_way(name, task):
    info, y, outputs = problem(task)
    loss = METHODS[name].loss(info)
    value, gradient = value_and_gradient(loss, y, outputs)
    assert value.shape == ()
    assert np.isfinite(value)
    assert gradient.shape == outputs.shape
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0.0
    # Right answers must cost less than wrong ones.
    assert float(loss(y, 8.0 * outputs)) < float(loss(y, -8.0 * outputs))


#: The others draw labels, by all outputs: a row more is another draw.
WITHOUT_DRAWS = [
    (name, task)
    for name, task in NETWORKS
    if not name.startswith(("reinforce", "local", "relaxed", "straight"))
]
#: Of each method the first task, and label columns, which share a row's weight.
ROW_OF_ZERO = [
    pytest.param(name, task, marks=() if task in (first[1], "multilabel") else pytest.mark.slow)
    for name, pairs in itertools.groupby(WITHOUT_DRAWS, key=lambda pair: pair[0])
    for first in [next(pairs)]
    for _, task in [first, *pairs]
]


@pytest.mark.few(34)
@pytest.mark.parametrize(("name", "task"), ROW_OF_ZERO)
def test_a_row_of_weight_zero_does_not_count(name, task):
    info, y, outputs = problem(task)
    weight = tf.constant([1.0] * 10 + [0.0] * 2)
    loss = METHODS[name].loss(info)
    value, gradient = value_and_gradient(loss, y, outputs, weight)
    fresh = METHODS[name].loss(info)  # a loss may remember a batch
    kept, kept_gradient = value_and_gradient(fresh, y[:10], outputs[:10])
    np.testing.assert_allclose(value, kept, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(gradient[:10], kept_gradient, rtol=2e-3, atol=2e-6)
    assert not np.asarray(gradient[10:]).any()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "ordinal"])
def test_xla_agrees_with_eager_and_hyper_parameters_may_be_tensors(task):
    # One program for all methods, since starting the compiler takes longest. The binary one has
    # every method but those for levels; warm starts are the pure loss, mixtures are all alike.
    info, y, outputs = problem(task)
    rows = [m for m in METHODS.values() if task in m.tasks and m.build and not m.warm_start]
    rows = [m for m in rows if m.name == "sol_mixed" or not m.name.endswith("_mixed")]
    if task == "ordinal":
        rows = [m for m in rows if m.tasks == {"ordinal"} or m.name in ("lovasz", "keras_hinge")]

    @tf.function(jit_compile=True, autograph=False)
    def run(y, outputs, hyper):
        return {m.name: value_and_gradient(m.loss(info, hyper[m.name]), y, outputs) for m in rows}

    tensors = {m.name: {k: tf.constant(v) for k, v in m.defaults.items()} for m in rows}
    compiled = run(y, outputs, tensors)
    for row in rows:
        eager = value_and_gradient(row.loss(info), y, outputs)
        for ours, theirs in zip(compiled[row.name], eager, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-6, err_msg=row.name)


@pytest.mark.parametrize("reward", ["accuracy", "balanced_accuracy", "jaccard_macro", "g_mean"])
@pytest.mark.parametrize(
    "name", ["policy_gradient", "sol", "anyloss", "relaxed_one_hot", "soft_kappa", "lovasz"]
)
def test_other_rewards(name, reward):
    info, y, outputs = problem("multiclass")
    info = dataclasses.replace(info, reward=reward)
    value, gradient = value_and_gradient(METHODS[name].loss(info), y, outputs)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_mixing_adds_cross_entropy():
    info, y, outputs = problem("binary")
    plain = {name: float(METHODS[name].loss(info)(y, outputs)) for name in ("sol", "cross_entropy")}
    mixed = METHODS["sol_mixed"].loss(info, {"cross_entropy": 0.5})
    assert float(mixed(y, outputs)) == pytest.approx(plain["sol"] + 0.5 * plain["cross_entropy"])
    gradient = METHODS["policy_gradient_mixed"].loss(info, {"cross_entropy": 0.5})
    pure = float(METHODS["policy_gradient_pure"].loss(info)(y, outputs))
    assert float(gradient(y, outputs)) == pytest.approx(pure + 0.5 * plain["cross_entropy"])
    assert isinstance(gradient, PolicyGradientLoss)


def test_soft_counts_score_what_the_reward_scores():
    # Positives are class 1 of the binary reward only: the two averages must differ.
    binary, y, outputs = problem("binary")
    macro = dataclasses.replace(binary, reward="f1_macro")
    assert (binary.average, macro.average) == ("binary", "macro")
    loss = METHODS["soft_f1"].loss
    p = 1 / (1 + np.exp(-outputs.numpy()[:, 0]))
    t = y.numpy()
    f1 = [2 * (q * t).sum() / (q.sum() + t.sum()) for q, t in ((p, t), (1 - p, 1 - t))]
    assert float(loss(binary)(y, outputs)) == pytest.approx(1 - f1[0], rel=1e-5)
    assert float(loss(macro)(y, outputs)) == pytest.approx(1 - np.mean(f1), rel=1e-5)


def test_class_weights_are_the_training_parts():
    info = TaskInfo("binary", "f1", class_counts=(90, 10))
    np.testing.assert_allclose(info.class_weight, [100 / 180, 100 / 20])
    loss = METHODS["weighted_cross_entropy"].loss(info)
    assert float(loss([1], [[0.0]])) == pytest.approx(5 * np.log(2), rel=1e-6)
    columns = TaskInfo("multilabel", "f1_macro", columns=2, class_counts=(5, 0), rows=20)
    np.testing.assert_allclose(columns.class_weight, [[20 / 30, 2.0], [0.5, 0.0]])
    assert TaskInfo("binary", "f1").class_weight is None


def test_keras_losses_are_kerass():
    y, logits = np.array([1, 0, 1]), np.array([[0.3], [-1.0], [2.0]], np.float32)
    info, rows = TaskInfo("binary", "f1"), np.eye(2)[y]
    p = keras.ops.softmax(np.hstack([0.0 * logits, logits]))
    read = {
        **dict.fromkeys(("mean_squared_error", "mean_absolute_error", "huber"), (rows, p)),
        **dict.fromkeys(("categorical_crossentropy", "kl_divergence"), (rows, p)),
        "cosine_similarity": (rows, p),
        "binary_crossentropy": (y[:, None], p[:, 1:]),
        "hinge": (y[:, None], logits),
        "mean_absolute_percentage_error": (rows + 1.0, p + 1.0),
    }
    assert {f"keras_{name}" for name in read} == {name for name in METHODS if name[:6] == "keras_"}
    for name, arguments in read.items():
        expected = np.mean(getattr(keras.losses, name)(*arguments))
        value = float(METHODS[f"keras_{name}"].loss(info)(y, logits))
        assert value == pytest.approx(expected, rel=2e-5), name


@pytest.mark.parametrize("name", ["keras_huber", "sord", "tanh_steps"])
def test_a_loss_takes_all_that_a_trial_draws(name):
    info, y, outputs = problem("ordinal")
    drawn = trial_hyperparameters(0, name, 1)
    own = {key: value for key, value in drawn.items() if key != LEARNING_RATE}
    found, expected = (float(METHODS[name].loss(info, hyper)(y, outputs)) for hyper in (drawn, own))
    assert found == expected


def test_level_methods_read_the_expected_level():
    logits = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], np.float32))
    y, level = np.array([2, 1]), np.array([1.6, 0.75])
    info = TaskInfo("ordinal", "accuracy", num_classes=3)
    published = {
        "level_mse": np.mean((y - level) ** 2),
        "level_mae": np.mean(np.abs(y - level)),
        "level_mape": 100 * np.mean(np.abs(y - level) / (1 + y)),
        "level_huber": np.mean((y - level) ** 2) / 2,
    }
    for name, expected in published.items():
        assert float(METHODS[name].loss(info)(y, logits)) == pytest.approx(expected, rel=1e-5)
        assert METHODS[name].decision == "rounded_level"


def test_relaxed_draws_are_those_of_tensorflow_probability():
    from policygrad_metrics.policies.tfp import distributions

    logits = tf.constant([0.5, 0.0, -1.0])
    N = 20000
    ours = relaxed_one_hot(tf.tile(logits[None], [N, 1]), 0.7, as_seed(3)).numpy()
    twin = distributions().RelaxedOneHotCategorical(0.7, logits=logits)
    theirs = twin.sample(N, seed=(1, 2)).numpy()
    # Means and mean squares of numbers in [0, 1]: a standard error of .5 / sqrt(N) each.
    for power in (1, 2):
        difference = (ours**power).mean(0) - (theirs**power).mean(0)
        assert np.abs(difference).max() < 5 * np.hypot(0.5, 0.5) / np.sqrt(N)
    # Which entry is largest is an exact draw from the policy itself.
    share = np.bincount(ours.argmax(1), minlength=3) / N
    assert np.abs(share - tf.nn.softmax(logits).numpy()).max() < 5 * 0.5 / np.sqrt(N)


def test_straight_through_is_hard_forwards_and_soft_backwards():
    logits = tf.random.stateless_normal([6, 4], seed=(1, 2))
    target = tf.random.stateless_normal([6, 4], seed=(3, 4))
    gradients = []
    for draw in (straight_through, relaxed_one_hot):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = draw(logits, 0.8, as_seed(5))
            total = tf.reduce_sum(target * value)
        gradients.append(tape.gradient(total, logits).numpy())
        if draw is straight_through:
            np.testing.assert_allclose(np.sort(value)[:, -1], 1.0, rtol=1e-6)
            np.testing.assert_allclose(np.sort(value)[:, :-1], 0.0, atol=1e-6)
    np.testing.assert_allclose(*gradients, rtol=1e-6)


@pytest.mark.parametrize(("name", "task"), PREDICTORS)
@pytest.mark.few(12)
def test_models_predict_probabilities_that_can_be_tuned(name, task):
    if not METHODS[name].installed:
        pytest.skip(f"needs {METHODS[name].how_to_install}")
    rng = np.random.default_rng(0)
    info, y, _ = problem(task, size=60)
    y = y.numpy()
    x = rng.normal(size=(60, 4)) + y.reshape(60, -1)[:, :1]
    with threadpool_limits(1):  # threads that wait for one another take minutes on a busy machine
        model = METHODS[name].model(info, seed=1).fit(x, y)
    p = model.predict_proba(x)
    assert p.shape == ((60, 3) if task == "multilabel" else (60, info.num_classes))
    if task != "multilabel":
        np.testing.assert_allclose(p.sum(1), 1.0)
    if name == "majority":
        assert np.ptp(p, axis=0).max() == 0.0
    if task == "ranking":  # there is nothing to tune
        assert get_reward(info.reward)(y, p[:, 1]) > (0.3 if name == "majority" else 0.6)
        return
    tuner = DecisionTuner(
        info.reward, multilabel=task == "multilabel", ordinal=task == "ordinal"
    ).fit(p, y)
    assert tuner.score_ >= tuner.plain_score_
    assert name == "majority" or tuner.score_ > 0.5


def test_persistence_is_certain_of_the_last_label():
    info = TaskInfo("ordinal", "f1_macro", num_classes=3)
    last = np.array([[2.0], [0.0], [1.0]])
    p = METHODS["persistence"].model(info).fit(last, [0, 0, 0]).predict_proba(last)
    np.testing.assert_array_equal(p, np.eye(3)[[2, 0, 1]])


def test_models_know_classes_that_training_lacks():
    info = TaskInfo("multiclass", "f1_macro", num_classes=4)
    x, y = np.arange(12.0)[:, None], np.array([0, 1, 3] * 4)
    p = METHODS["logistic_regression"].model(info).fit(x, y).predict_proba(x)
    assert p.shape == (12, 4)
    assert not p[:, 2].any()
    columns = TaskInfo("multilabel", "f1_macro", columns=2)
    y = np.stack([np.arange(12) % 2, np.zeros(12, int)], axis=1)
    p = METHODS["logistic_regression"].model(columns).fit(x, y).predict_proba(x)
    assert not p[:, 1].any()


@pytest.mark.parametrize("name", METHODS)
def test_trials_are_pure_and_in_their_ranges(name):
    row = METHODS[name]
    first = trial_hyperparameters(3, name, 0)
    assert {k: v for k, v in first.items() if k != "learning_rate_scale"} == row.defaults
    assert ("learning_rate_scale" in first) == (row.build is not None)
    choices = {**row.hyperparameters, "learning_rate_scale": LEARNING_RATE_SCALE}
    trials = [trial_hyperparameters(3, name, t) for t in range(1, 9)]
    for t in reversed(range(1, 9)):  # in another order
        assert trial_hyperparameters(3, name, t) == trials[t - 1]
    for trial in trials:
        assert set(trial) == set(first)
        assert all(choices[k].low <= v <= choices[k].high for k, v in trial.items())
    if first:
        for one, other in itertools.combinations(trials, 2):
            assert one != other
        assert trial_hyperparameters(4, name, 1) != trials[0]


def test_trials_are_the_same_on_every_machine_and_day():
    # Recorded once: a change here would make old studies unrepeatable.
    trial = {"gamma": 2.71736, "learning_rate_scale": 6.58297}
    assert trial_hyperparameters(0, "focal", 1) == trial


def test_trials_fill_their_range():
    shares = [trial_hyperparameters(0, "sol", t)["delta"] for t in range(1, 401)]
    # A uniform mean of 400 draws from [.1, .5] has a standard error of .0058.
    assert np.mean(shares) == pytest.approx(0.3, abs=0.03)
    assert min(shares) < 0.12
    assert max(shares) > 0.48


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: get_method("cross_entrpy"), "did you mean 'cross_entropy'"),
        (lambda: trial_hyperparameters(0, "fokal", 1), "did you mean 'focal'"),
        (lambda: trial_hyperparameters(0, "focal", -1), "trial must be"),
        (lambda: trial_hyperparameters(0.5, "focal", 1), "study_seed must be"),
        (lambda: METHODS["majority"].loss(TaskInfo("binary", "f1")), "use its predictor"),
        (lambda: METHODS["focal"].model(TaskInfo("binary", "f1")), "use its loss"),
        (lambda: METHODS["level_mse"].loss(TaskInfo("binary", "f1")), "suits ordinal"),
        (lambda: METHODS["focal"].loss(TaskInfo("binary", "f1"), {"gama": 1}), "mean 'gamma'"),
        (lambda: TaskInfo("binry", "f1"), "did you mean 'binary'"),
        (lambda: TaskInfo("binary", "f2_marco"), "did you mean"),
        (lambda: TaskInfo("binary", "f1", num_classes=3), "num_classes must be 2"),
        (lambda: TaskInfo("multiclass", "f1", columns=2), "columns must be 1"),
        (lambda: TaskInfo("binary", "f1", class_counts=(1, 2, 3)), "class_counts must be 2"),
        (lambda: TaskInfo("multilabel", "f1_macro", columns=1, class_counts=(3,)), "rows must"),
        (lambda: Choice(1.0, 2.0, 3.0), "low <= default"),
        (
            lambda: Method("x", "y", "z", "w", frozenset(TASKS)),
            "must have one of build=, predictor=",
        ),
    ],
)
def test_errors_name_the_way_out(call, message):
    with pytest.raises(ValueError, match=message):
        call()
