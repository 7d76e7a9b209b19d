"""The Keras loss and metric: values, weights, bad input, fit, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sk

import policygrad_metrics as pgm
from policygrad_metrics import losses

TOLERANCE = 2e-6  # float32 sums of some tens of terms
GRAPH = {"jit_compile": False}
#: Where the mode does not matter: for a few steps compiling would be most of the work.
EAGER = {"run_eagerly": True}


def toy(N=96, K=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    y = np.argmax(x[:, :K] + 0.3 * rng.normal(size=(N, K)), axis=1)
    return x, y


def network(outputs=3, seed=0):
    layers = [
        keras.layers.Input((4,)),
        keras.layers.Dense(
            8, "relu", kernel_initializer=keras.initializers.GlorotUniform(seed=seed)
        ),
        keras.layers.Dense(
            outputs, kernel_initializer=keras.initializers.GlorotUniform(seed=seed + 1)
        ),
    ]
    return keras.Sequential(layers)


def value_and_gradient(loss, y, z, w=None):
    z = tf.Variable(z)
    with tf.GradientTape() as tape:
        value = loss(y, z, w)
    return value.numpy(), tape.gradient(value, z).numpy()


def test_value_is_one_minus_expected_reward_plus_named_terms():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(6, 3)).astype(np.float32), rng.integers(0, 3, 6)
    expected = float(pgm.estimators.Enumerate()(z, pgm.get_reward("f1_macro"), y).value)
    log_p = tf.nn.log_softmax(z).numpy()
    ce = -log_p[np.arange(6), y].mean()
    entropy = -(np.exp(log_p) * log_p).sum(1).mean()
    for c, e in ((0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.25, 0.5)):
        loss = pgm.PolicyGradientLoss(
            "f1_macro", cross_entropy=c, entropy=e, cross_entropy_weights="equal"
        )
        expected_loss = 1 - expected + c * ce - e * entropy
        assert float(loss(y, z)) == pytest.approx(expected_loss, abs=TOLERANCE)


def test_gradient_is_minus_the_estimators():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(6, 3)).astype(np.float32), rng.integers(0, 3, 6)
    w = rng.gamma(1.0, size=6)
    _, gradient = value_and_gradient(pgm.PolicyGradientLoss("f1_macro", cross_entropy=0.0), y, z, w)
    truth = pgm.estimators.ExactExpectation()(
        z, pgm.get_reward("f1_macro"), y, sample_weight=w
    ).gradient
    np.testing.assert_allclose(gradient, -truth, atol=TOLERANCE)


@pytest.mark.parametrize("reward", ["f1_macro", "matthews_corrcoef", "accuracy"])
def test_weights_enter_the_counts(reward):
    """Weight zero is the row removed, weight two the row twice, in value and gradient."""
    rng = np.random.default_rng(3)
    z, y = rng.normal(size=(8, 3)).astype(np.float32), rng.integers(0, 3, 8)
    w = np.array([1, 0, 2, 1, 1, 2, 0, 1], np.float32)
    rows = np.repeat(np.arange(8), w.astype(int))
    estimator = "enumerate"
    loss = pgm.PolicyGradientLoss(reward, gradient_estimator=estimator, cross_entropy=0.5)
    value, gradient = value_and_gradient(loss, y, z, w)
    kept = w > 0
    expected, kept_gradient = value_and_gradient(loss, y[kept], z[kept], w[kept])
    assert value == pytest.approx(expected, abs=TOLERANCE)
    np.testing.assert_allclose(gradient[kept], kept_gradient, atol=TOLERANCE)
    np.testing.assert_allclose(gradient[~kept], 0.0, atol=TOLERANCE)
    # A doubled row is two draws in a repeated batch and one in a weighted one, so only the
    # cross-entropy part and rewards that are means agree exactly.
    if reward == "accuracy":
        repeated, _ = value_and_gradient(
            pgm.PolicyGradientLoss(reward, cross_entropy=0.5), y[rows], z[rows]
        )
        assert value == pytest.approx(repeated, abs=TOLERANCE)


def test_weights_choose_examples_which_in_scalar_losses_of_keras_they_do_not():
    """Dice is one number of the batch, which Keras multiplies by the mean weight."""
    z = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    y = np.array([0, 0, 1, 1])
    weights = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], np.float32)
    dice = [keras.losses.Dice()(np.eye(2)[y], tf.nn.softmax(z), sample_weight=w) for w in weights]
    assert float(dice[0]) == pytest.approx(float(dice[1]), rel=1e-6)
    loss = pgm.PolicyGradientLoss("f1_macro", cross_entropy=0.0)
    first, second = (float(loss(y, z, w)) for w in weights)
    assert abs(first - second) > 0.1


def test_masks_count_as_weight_zero():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(2, 5, 3)).astype(np.float32), rng.integers(0, 3, (2, 5))
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]], bool)
    loss = pgm.PolicyGradientLoss("f1_macro")
    masked = tf.convert_to_tensor(z)
    masked._keras_mask = tf.convert_to_tensor(mask)
    expected = loss(y[mask], z[mask])
    assert float(loss(y, masked)) == pytest.approx(float(expected), abs=TOLERANCE)


def test_reduction_follows_keras():
    z, y = tf.zeros([4, 2]), [0, 1, 0, 1]
    for reduction, expected in (("sum_over_batch_size", 0.5), ("sum", 2.0), (None, [0.5] * 4)):
        loss = pgm.PolicyGradientLoss("accuracy", cross_entropy=0.0, reduction=reduction)
        np.testing.assert_allclose(loss(y, z), expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("reward", "outputs", "policy", "mode"),
    [
        ("f1_macro", 3, "auto", EAGER),
        pytest.param("f1_macro", 3, "auto", GRAPH, marks=pytest.mark.slow),
        pytest.param("f1_macro", 3, "auto", {"jit_compile": True}, marks=pytest.mark.slow),
        ("f1", 1, "auto", EAGER),
        pytest.param("cohen_kappa_quadratic", 2, "cumulative_link", EAGER, marks=pytest.mark.slow),
        pytest.param("g_mean", 3, "softmax", EAGER, marks=pytest.mark.slow),
        ("accuracy", 2, pgm.policies.BinnedRegression(edges=(0.6, 1.6)), EAGER),
    ],
    ids=["f1_macro", "f1_macro-graph", "f1_macro-xla", "f1", "kappa", "g_mean", "binned"],
)
@pytest.mark.few(1)
def test_fit_improves_the_metric(reward, outputs, policy, mode):
    x, y = toy(256, K=2 if reward == "f1" else 3)
    model = network(outputs)
    metric = pgm.RewardMetric(reward, policy)
    loss = pgm.PolicyGradientLoss(reward, policy)
    model.compile(keras.optimizers.Adam(0.1), loss=loss, metrics=[metric], **mode)
    before = model.evaluate(x, y, batch_size=256, verbose=0, return_dict=True)
    model.fit(x, y, batch_size=256, epochs=8, verbose=0)
    after = model.evaluate(x, y, batch_size=256, verbose=0, return_dict=True)
    name = pgm.get_reward(reward).name
    assert after[name] > before[name] + 0.1
    assert after["loss"] < before["loss"]


def test_fit_black_box_and_moving_average():
    x, y = toy(128)
    model = network(3)
    model.compile(
        keras.optimizers.Adam(0.02),
        loss=pgm.PolicyGradientLoss(
            pgm.rewards.BlackBox(sk.accuracy_score),
            gradient_estimator=pgm.estimators.Reinforce(samples=4, baseline="moving_average"),
        ),
        metrics=[pgm.RewardMetric(pgm.rewards.BlackBox(sk.accuracy_score))],
        jit_compile=False,
    )
    history = model.fit(x, y, epochs=6, batch_size=64, validation_data=(x, y), verbose=0).history
    assert history["val_accuracy_score"][-1] > history["val_accuracy_score"][0]
    expected = sk.accuracy_score(y, np.argmax(model.predict(x, verbose=0), 1))
    assert history["val_accuracy_score"][-1] == pytest.approx(expected)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "estimator",
    ["local_expectation", pgm.estimators.Reinforce(samples=4, baseline="moving_average")],
    ids=["local", "moving-average"],
)
def test_validation_does_not_change_training(estimator):
    x, y = toy()
    weights = []
    for validation in (None, (x[:32], y[:32])):
        model = network()
        loss = pgm.PolicyGradientLoss("f1_macro", gradient_estimator=estimator)
        model.compile(keras.optimizers.Adam(0.02), loss=loss, **EAGER)
        model.fit(x, y, epochs=2, shuffle=False, validation_data=validation, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_same_seed_same_training_and_other_seed_other_training():
    x, y = toy()
    trained = []
    for seed in (0, 0, 1):
        model = network()
        loss = pgm.PolicyGradientLoss("f1_macro", gradient_estimator="reinforce", seed=seed)
        model.compile("sgd", loss=loss, **EAGER)
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
        trained.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_array_equal(trained[0], trained[1])
    assert not np.allclose(trained[0], trained[2])


def test_draws_differ_between_steps_and_between_equal_rows():
    loss = pgm.PolicyGradientLoss(
        "accuracy", gradient_estimator=pgm.estimators.Reinforce(2), cross_entropy=0.0
    )
    z, y = np.zeros((64, 2), np.float32), np.zeros(64, int)
    _, first = value_and_gradient(loss, y, z)
    _, second = value_and_gradient(loss, y, z + np.float32(1e-3))
    assert len(np.unique(first[:, 0].round(6))) > 1  # equal rows, different labels
    assert np.abs(first - second).max() > 1e-3


def test_metric_is_of_the_whole_data_set():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(100, 3)).astype(np.float32), rng.integers(0, 3, 100)
    w = rng.gamma(1.0, size=100).astype(np.float32)
    metric = pgm.RewardMetric("f1_macro")
    for i in range(0, 100, 7):
        metric.update_state(y[i : i + 7], z[i : i + 7], w[i : i + 7])
    expected = sk.f1_score(y, z.argmax(1), average="macro", sample_weight=w)
    assert float(metric.result()) == pytest.approx(expected, abs=TOLERANCE)
    metric.reset_state()
    metric.update_state(y[:10], z[:10])
    expected = sk.f1_score(y[:10], z[:10].argmax(1), average="macro")
    assert float(metric.result()) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["f1_macro", "f1_micro", "f1_samples", "accuracy", "hamming"])
def test_multilabel_metric_and_loss(name):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 2, (50, 4))
    metric = pgm.RewardMetric(name, policy="sigmoid")
    for i in range(0, 50, 20):
        metric.update_state(y[i : i + 20], z[i : i + 20])
    labels = (z > 0).astype(int)
    expected = float(pgm.get_reward(name, multilabel=True)(y, labels))
    assert float(metric.result()) == pytest.approx(expected, abs=TOLERANCE)
    loss = pgm.PolicyGradientLoss(name, policy="sigmoid", cross_entropy=0.0)
    assert float(loss(y, 100 * np.sign(z))) == pytest.approx(1 - expected, abs=TOLERANCE)


def test_dense_sites_and_segmentation_shapes():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, (2, 4, 4))
    z = (10.0 * np.eye(3)[y] + rng.normal(size=(2, 4, 4, 3))).astype(np.float32)
    assert float(pgm.PolicyGradientLoss("mean_iou", cross_entropy=0.0)(y, z)) < 0.05
    binary = pgm.PolicyGradientLoss("iou", cross_entropy=0.0)
    assert float(binary((y > 0)[..., None], (20.0 * (y > 0) - 10)[..., None])) < 0.01


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "loss",
    [
        pgm.PolicyGradientLoss("f1_macro", cross_entropy=0.1, entropy=0.2, seed=7),
        pgm.PolicyGradientLoss(pgm.rewards.GainMatrix([[1, 0, 0], [0, 1, 0], [0, 0, 5]])),
        pgm.PolicyGradientLoss("g_mean", gradient_estimator=pgm.estimators.LocalExpectation(3)),
        pgm.SurrogateLoss("focal", gamma=1.5),
        pgm.losses.FocalLoss(gamma=1.0),
    ],
    ids=["f1", "gain-matrix", "local", "focal", "focal-class"],
)
def test_models_save_and_load(loss, tmp_path):
    x, y = toy()
    model = network()
    model.compile("adam", loss=loss, metrics=[pgm.RewardMetric("f1_macro")], **EAGER)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == loss.get_config()
    for a, b in zip(model.evaluate(x, y, verbose=0), loaded.evaluate(x, y, verbose=0), strict=True):
        assert a == pytest.approx(b, abs=TOLERANCE)


@keras.saving.register_keras_serializable(package="tests")
def registered_reward(y_true, y_pred):
    return float((y_true == y_pred).mean())


def test_rewards_of_your_own_are_saved_when_registered():
    loss = pgm.PolicyGradientLoss(pgm.rewards.BlackBox(registered_reward, label="mine"))
    again = pgm.PolicyGradientLoss.from_config(loss.get_config())
    assert again.reward == loss.reward


def test_bad_input_in_python():
    z = np.zeros((4, 3), np.float32)
    loss = pgm.PolicyGradientLoss("f1_macro")
    with pytest.raises(ValueError, match=r"K=3 classes.*First such values: \[3\]"):
        loss([0, 1, 2, 3], z)
    with pytest.raises(ValueError, match=r"no label"):
        loss([0.0, 1.5, 2.0, 1.0], z)
    with pytest.raises(ValueError, match="NaN or infinite"):
        loss([0, 1, 2, 0], z * np.nan)
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        loss([0, 1, 2, 0], z, [1.0, -1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="does not fit outputs"):
        loss([0, 1], z)
    with pytest.raises(ValueError, match="rows are not one-hot"):
        loss(np.zeros((4, 3)), z)
    with pytest.raises(ValueError, match="sigmoid"):
        pgm.PolicyGradientLoss("f1", policy="softmax")([0, 1], np.zeros((2, 1), np.float32))
    with pytest.raises(ValueError, match="cross_entropy must be"):
        pgm.PolicyGradientLoss("f1", cross_entropy=-1.0)
    with pytest.raises(ValueError, match="did you mean 'exact'"):
        pgm.PolicyGradientLoss("f1", gradient_estimator="exakt")
    with pytest.raises(ValueError, match="did you mean 'softmax'"):
        pgm.PolicyGradientLoss("f1", policy="softmaxx")
    with pytest.raises(ValueError, match="did you mean 'soft_f1'"):
        pgm.SurrogateLoss("softf1")


def compiled(jit, **options):
    model = network()
    model.compile("sgd", loss=pgm.PolicyGradientLoss("f1_macro"), jit_compile=jit, **options)
    return model


@pytest.mark.slow
def test_bad_batches_raise_in_fit_without_xla():
    x, y = toy()
    bad = y.copy()
    bad[40] = 3
    with pytest.raises(tf.errors.InvalidArgumentError, match="K=3 classes"):
        compiled(False).fit(x, bad, verbose=0)
    linear = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    linear.compile("sgd", loss=pgm.PolicyGradientLoss("f1_macro"), jit_compile=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN or infinite"):
        linear.fit(x * np.nan, y, verbose=0)


def test_bad_batches_are_named_in_fit_under_xla():
    x, y = toy()
    bad = y.copy()
    bad[40] = 3
    model = compiled(True)
    with pytest.raises(ValueError, match="batch 1 of epoch 0"):
        model.fit(x, bad, batch_size=32, shuffle=False, verbose=0, callbacks=[pgm.StopOnBadBatch()])
    # Only good batches have moved the weights.
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_black_box_under_xla_says_what_to_do():
    x, y = toy()
    model = network()
    model.compile("sgd", loss=pgm.PolicyGradientLoss(sk.accuracy_score), jit_compile=True)
    with pytest.raises(ValueError, match="jit_compile=False"):
        model.fit(x, y, verbose=0)


def test_a_reward_that_returns_nan_stops_training():
    x, y = toy()
    model = network()
    loss = pgm.PolicyGradientLoss(lambda y_true, y_pred: float("nan"))
    model.compile("sgd", loss=loss, jit_compile=False)
    with pytest.raises(Exception, match="must return a finite number"):
        model.fit(x, y, verbose=0)


@pytest.mark.slow
def test_class_weight_and_sample_weight_reach_the_reward_in_fit():
    x, y = toy()
    ends = []
    for options in ({}, {"class_weight": {0: 1.0, 1: 1.0, 2: 50.0}}):
        model = network()
        loss = pgm.PolicyGradientLoss("accuracy", cross_entropy=0.0)
        model.compile(keras.optimizers.Adam(0.1), loss=loss, **EAGER)
        model.fit(x, y, batch_size=96, epochs=8, shuffle=False, verbose=0, **options)
        ends.append((np.argmax(model(x), 1) == 2).mean())
    assert ends[1] > ends[0]


def test_mixed_precision_and_float64_outputs():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(8, 3)), rng.integers(0, 3, 8)
    loss = pgm.PolicyGradientLoss("f1_macro")
    reference = float(loss(y, tf.cast(z, tf.float16) + tf.cast(0, tf.float16)))
    assert reference == pytest.approx(
        float(loss(y, tf.cast(tf.cast(z, tf.float16), tf.float32))), abs=TOLERANCE
    )
    assert float(loss(y, z)) == pytest.approx(float(loss(y, z.astype(np.float32))), abs=TOLERANCE)


def test_importing_and_fitting_touch_no_global_random_state():
    x, y = toy()
    np.random.seed(5)
    expected = np.random.default_rng(0).random(), np.random.RandomState(5).rand()
    model = compiled(False)
    model.fit(x, y, verbose=0, shuffle=False)
    assert np.random.rand() == expected[1]


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "name", ["f1_samples", "jaccard_samples", "f1_macro", "jaccard_micro", "hamming"]
)
def test_a_graph_need_not_know_the_size_of_the_batch(name):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (7, 3)).astype(np.int32)
    z = rng.normal(size=(7, 3)).astype(np.float32)
    loss = pgm.PolicyGradientLoss(name, policy="sigmoid")
    signature = [tf.TensorSpec([None, 3], tf.int32), tf.TensorSpec([None, 3], tf.float32)]
    compiled = tf.function(loss, input_signature=signature, autograph=False)
    assert float(compiled(y, z)) == pytest.approx(float(loss(y, z)), rel=1e-6)


@pytest.mark.parametrize("running_counts", [None, pytest.param(200, marks=pytest.mark.slow)])
def test_many_classes_are_compiled_within_a_graph_to_the_same_gradient(running_counts):
    rng = np.random.default_rng(0)
    K = losses.policy_gradient.MANY_CLASSES
    y, outputs = rng.integers(0, K, 40), tf.constant(rng.normal(size=(40, K)), tf.float32)

    def gradient(y, outputs):
        loss = pgm.PolicyGradientLoss("f1_macro", running_counts=running_counts)
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = loss(y, outputs)
        return value, tape.gradient(value, outputs)

    compiled = tf.function(gradient, autograph=False)
    program = compiled.get_concrete_function(y, outputs).graph.as_graph_def()
    assert any(f.attr["_XlaMustCompile"].b for f in program.library.function)
    (value, slope), (other, own) = compiled(y, outputs), gradient(y, outputs)
    np.testing.assert_allclose(value, other, rtol=1e-6)
    np.testing.assert_allclose(slope, own, atol=1e-6 * np.abs(own).max())


def test_losses_of_several_networks_are_one_vectorized_map():
    loss = pgm.PolicyGradientLoss("f1_macro")
    y = np.random.default_rng(0).integers(0, 3, (4, 20))
    z = tf.constant(np.random.default_rng(1).normal(size=(4, 20, 3)), tf.float32)
    together = tf.vectorized_map(lambda one: loss(*one), (tf.constant(y), z))
    alone = [float(loss(*one)) for one in zip(y, z, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    wrong = tf.constant(np.where(y == 2, 7, y))
    with pytest.raises(tf.errors.InvalidArgumentError, match="7"):
        tf.vectorized_map(lambda one: loss(*one), (wrong, z))
