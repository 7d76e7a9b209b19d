"""What people hand to a loss or a metric: probabilities, soft targets, odd shapes, old Keras."""

import logging
import subprocess
import sys
import warnings
import zipfile

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.metrics import f1_score

import policygrad_metrics as pgm
from policygrad_metrics.policies import reading

PROBABILITIES = np.array([[0.2], [0.7], [0.4], [0.9]], np.float32)
TRUTH = np.array([0, 1, 0, 1])
WARNING = "from_logits=False"


def scored(name, y_true, outputs, **options):
    metric = pgm.RewardMetric(name, **options)
    metric.update_state(y_true, outputs)
    return float(metric.result())


def toy(*layers):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    return x, (x[:, 0] > 0).astype(int), model


# Probabilities.


def test_probabilities_are_noticed_by_their_values():
    with pytest.warns(UserWarning, match=WARNING):
        assert scored("f1", TRUTH, PROBABILITIES) == pytest.approx(2 / 3)
    rows = np.float32([[0.2, 0.8], [0.5, 0.5]])
    with pytest.warns(UserWarning, match=WARNING):
        pgm.PolicyGradientLoss("accuracy")([0, 1], rows)


@pytest.mark.parametrize(
    "outputs",
    [
        np.zeros((4, 1)),
        np.eye(4),
        [[0.2, 0.3], [0.4, 0.1]],
        [[0.5], [0.2]],
        [[0.5], [0.2], [3], [1]],
    ],
    ids=["zeros", "one-hot", "rows that do not add up to one", "two numbers", "beyond one"],
)
def test_logits_are_not_taken_for_probabilities(outputs):
    outputs = np.float32(outputs)
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always")
        pgm.PolicyGradientLoss("accuracy")(np.arange(len(outputs)) % 2, outputs)
    assert not [w for w in noticed if WARNING in str(w.message)]


def test_probabilities_are_scored_as_such_on_request():
    assert scored("f1", TRUTH, PROBABILITIES, from_logits=False) == 1.0
    logits = np.log(PROBABILITIES / (1 - PROBABILITIES))
    for loss in ("cross_entropy", "soft_f1"):
        given = pgm.SurrogateLoss(loss, from_logits=False)(TRUTH, PROBABILITIES)
        assert float(given) == pytest.approx(
            float(pgm.SurrogateLoss(loss)(TRUTH, logits)), rel=1e-5
        )
    given = pgm.PolicyGradientLoss("f1", from_logits=False)(TRUTH, PROBABILITIES)
    assert float(given) == pytest.approx(
        float(pgm.PolicyGradientLoss("f1")(TRUTH, logits)), rel=1e-5
    )
    rng = np.random.default_rng(0)
    z = rng.normal(size=(20, 3)).astype(np.float32)
    p, y = tf.nn.softmax(z), rng.integers(0, 3, 20)
    given = pgm.losses.FocalLoss(from_logits=False)(y, p)
    assert float(given) == pytest.approx(float(pgm.losses.FocalLoss()(y, z)), rel=1e-5)
    with pytest.raises(ValueError, match="probabilities from 0 to 1, since from_logits=False"):
        pgm.PolicyGradientLoss("accuracy", from_logits=False)(y, z)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "jit", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["graph", "xla"]
)
@pytest.mark.parametrize(
    "layers",
    [
        lambda: [keras.layers.Dense(3, "softmax"), keras.layers.Reshape((3,))],
        lambda: [keras.layers.Dense(3), keras.layers.Lambda(tf.nn.softmax)],
        lambda: [keras.layers.Dense(1, tf.nn.sigmoid)],
        lambda: [
            keras.layers.Reshape((2, 2)),
            keras.layers.TimeDistributed(keras.layers.Dense(3, "softmax")),
            keras.layers.GlobalAveragePooling1D(),
        ],
        lambda: [
            keras.layers.Dense(1, "sigmoid"),
            keras.layers.Lambda(lambda p: keras.ops.clip(p, 1e-6, 1 - 1e-6)),
        ],
    ],
    ids=["reshaped", "lambda", "function", "averaged over time", "clipped"],
)
def test_activations_behind_further_layers_are_noticed_in_a_graph(layers, jit):
    x, y, model = toy(*layers())
    loss = pgm.PolicyGradientLoss("accuracy", cross_entropy=0.0)
    model.compile("sgd", loss=loss, jit_compile=jit)
    with pytest.warns(UserWarning, match=WARNING):
        model.fit(x, y, verbose=0)


def test_a_hidden_activation_is_none_of_the_outputs():
    x, y, model = toy(keras.layers.Dense(8, "sigmoid"), keras.layers.Dense(3))
    model.compile("sgd", loss=pgm.PolicyGradientLoss("accuracy"), jit_compile=False)
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always")
        model.fit(x, y, verbose=0)
    assert not [w for w in noticed if WARNING in str(w.message)]


def test_a_network_trained_on_keras_cross_entropy_can_be_watched_and_trained_on():
    x, y, model = toy(keras.layers.Dense(1, "sigmoid"))
    metric = pgm.RewardMetric("f1", from_logits=False)
    model.compile("sgd", loss="binary_crossentropy", metrics=[metric], run_eagerly=True)
    history = model.fit(x, y, epochs=2, verbose=0).history
    calls = (model.predict(x, verbose=0)[:, 0] > 0.5).astype(int)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["f1"] == pytest.approx(
        f1_score(y, calls), rel=1e-6
    )
    assert set(history) == {"f1", "loss"}
    restored = pgm.RewardMetric.from_config(metric.get_config())
    assert not restored.from_logits
    loss = pgm.PolicyGradientLoss("f1", from_logits=False)
    assert not pgm.PolicyGradientLoss.from_config(loss.get_config()).from_logits
    model.compile(keras.optimizers.SGD(1.0), loss=loss, run_eagerly=True)
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


# One-hot and soft truths.


def test_one_hot_rows_are_classes_for_auto_and_that_is_said_once(caplog):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(12, 3)).astype(np.float32), rng.integers(0, 3, 12)
    reading._SAID.clear()
    with caplog.at_level(logging.WARNING, logger="policygrad_metrics"):
        for _ in range(2):
            one_hot = float(pgm.PolicyGradientLoss("f1_macro")(np.eye(3)[y], z))
    assert one_hot == float(pgm.PolicyGradientLoss("f1_macro")(y, z))
    assert [r.message for r in caplog.records if "one-hot" in r.message] != []
    assert len(caplog.records) == 1


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_rows_that_are_not_one_hot_are_refused_by_auto(jit):
    y, z = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]), np.zeros((2, 3), np.float32)
    loss = pgm.PolicyGradientLoss("accuracy")
    for way_out in ('policy="sigmoid"', r"outputs\[..., None\]", "channels-first"):
        with pytest.raises(ValueError, match=way_out):
            loss(y, z)
    compiled = tf.function(loss, jit_compile=jit, autograph=False)
    if jit:
        assert np.isnan(compiled(y, z))
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="one-hot rows"):
            compiled(y, z)
    assert float(pgm.PolicyGradientLoss("accuracy", policy="sigmoid")(y, z)) > 0


def test_soft_targets_enter_cross_entropy_and_rewards_refuse_them():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(10, 4)).astype(np.float32)
    soft = rng.dirichlet(np.ones(4), 10).astype(np.float32)
    ours = pgm.SurrogateLoss("cross_entropy", policy="softmax")(soft, z)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True)(soft, z)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)
    share = soft[:, :1]
    ours = pgm.SurrogateLoss("cross_entropy")(share, z[:, :1])
    theirs = keras.losses.BinaryCrossentropy(from_logits=True)(share, z[:, :1])
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    for policy, y, outputs in (("softmax", soft, z), ("sigmoid", share, z[:, :1])):
        with pytest.raises(ValueError, match=r"SurrogateLoss\(\"cross_entropy\"\)"):
            pgm.PolicyGradientLoss("accuracy", policy=policy)(y, outputs)
        with pytest.raises(ValueError, match=r"SurrogateLoss\(\"cross_entropy\"\)"):
            pgm.SurrogateLoss("soft_f1", policy=policy)(y, outputs)
    with pytest.raises(ValueError, match="some rows are not one-hot"):
        pgm.PolicyGradientLoss("accuracy", policy="softmax")(soft, z)


# Shapes and values.


def test_classes_on_axis_one_are_named():
    y, z = np.zeros((2, 8, 8), int), np.zeros((2, 3, 8, 8), np.float32)
    with pytest.raises(ValueError, match="channels first"):
        pgm.PolicyGradientLoss("accuracy")(y, z)
    with pytest.raises(ValueError, match=r"outputs\[..., None\]"):
        pgm.PolicyGradientLoss("f1", policy="sigmoid")(np.zeros((4, 5), int), np.zeros((4, 5)))


def test_offending_labels_are_shown_and_can_be_left_out():
    y, z = np.array([[3, 1], [255, 0]]), np.zeros((2, 2, 4), np.float32)
    with pytest.raises(ValueError, match=r"weighted_metrics=.*First such values: \[255\]"):
        pgm.PolicyGradientLoss("accuracy")(y, z)
    weight = (y != 255).astype(float)
    assert np.isfinite(pgm.PolicyGradientLoss("accuracy")(y, z, weight))


def test_ragged_and_sparse_tensors_are_named():
    loss, z = pgm.PolicyGradientLoss("accuracy"), np.zeros((2, 3, 1), np.float32)
    with pytest.raises(ValueError, match="y_true is a ragged tensor"):
        loss(tf.ragged.constant([[1], [1, 0]]), z)
    with pytest.raises(ValueError, match="y_true is a sparse tensor"):
        loss(tf.sparse.from_dense([[1, 0, 1], [0, 0, 1]]), z)
    with pytest.raises(ValueError, match="y_true is a sparse matrix"):
        loss(scipy.sparse.csr_array(np.eye(3)), z)
    with pytest.raises(ValueError, match="sample_weight is a ragged tensor"):
        loss(np.zeros((2, 3)), z, tf.ragged.constant([[1.0], [1.0, 0.0]]))


def test_minus_infinity_as_a_logit_is_named():
    with pytest.raises(ValueError, match="-1e9"):
        pgm.PolicyGradientLoss("accuracy")([0], [[0.0, -np.inf]])


# The metric.


def test_a_label_outside_the_classes_makes_a_metric_nan_under_xla():
    metric = pgm.RewardMetric("jaccard_macro", num_classes=3)
    update = tf.function(metric.update_state, jit_compile=True, autograph=False)
    update(np.array([0, 1]), np.eye(3, dtype=np.float32)[:2])
    assert np.isfinite(float(metric.result()))
    update(np.array([0, 255]), np.eye(3, dtype=np.float32)[:2])
    assert np.isnan(float(metric.result()))


def test_a_metric_bears_the_name_that_was_typed():
    assert pgm.RewardMetric("mean_iou").name == "mean_iou"
    assert pgm.RewardMetric(pgm.get_reward("mean_iou")).name == "jaccard_macro"
    assert pgm.get_reward("qwk").name == "cohen_kappa_quadratic"
    assert pgm.get_reward("mAP").name == "average_precision"
    with pytest.raises(TypeError, match="'accuracy' has no argument absent=; it has these: multi"):
        pgm.get_reward("accuracy", absent="skip")


def test_a_metric_first_met_inside_strategy_run_asks_for_the_classes(monkeypatch):
    """With our loss beside it, TensorFlow's error was that a placeholder has no value."""
    monkeypatch.setattr("policygrad_metrics.losses.metric.replicas", lambda: 2)
    metric = pgm.RewardMetric("f1_macro")
    with pytest.raises(ValueError, match=r"RewardMetric\(\.\.\., num_classes=K\)"):
        tf.function(metric.update_state, autograph=False)([0, 1], tf.eye(2))


def test_a_metric_of_label_columns_is_made_for_their_number():
    metric = pgm.RewardMetric("f1_macro", policy="sigmoid", num_classes=3)
    assert metric.variables[0].shape == (3, 2, 2)
    truth = np.array([[1, 0, 1], [0, 0, 1]])
    metric.update_state(truth, np.array([[2.0, 1.0, 1.0], [-1.0, -1.0, -1.0]]))
    np.testing.assert_allclose(metric.result(), (1.0 + 0.0 + 2.0 / 3.0) / 3.0, rtol=1e-6)


def test_a_metric_refuses_another_number_of_classes():
    metric = pgm.RewardMetric("f1_macro", num_classes=2)
    with pytest.raises(ValueError, match="RewardMetric of its own"):
        metric.update_state([0, 1, 2], np.eye(3))


# Two outputs, and tf_keras.


@pytest.mark.parametrize("eagerly", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_counts_has_one_place_in_compile(eagerly):
    x, y, _ = toy()
    entry = keras.layers.Input((4,))
    model = keras.Model(entry, {name: keras.layers.Dense(2, name=name)(entry) for name in "ab"})

    def train(**compiled):
        model.compile("sgd", run_eagerly=eagerly, **compiled)
        model.fit(x, {"a": y, "b": y}, verbose=0)

    losses = {name: pgm.PolicyGradientLoss("f1", cross_entropy=0) for name in "ab"}
    metric, kept = pgm.RewardMetric("f1"), pgm.PolicyGradientLoss("f1", running_counts=True)
    train(loss=losses, metrics={name: pgm.RewardMetric("f1") for name in "ab"})
    with pytest.raises(ValueError, match="RewardMetric of its own"):
        train(loss=losses, metrics={"a": metric, "b": metric})
    with pytest.raises(ValueError, match="RewardMetric of its own"):
        train(loss=losses, metrics={"a": metric}, weighted_metrics={"a": metric})
    with pytest.raises(ValueError, match="PolicyGradientLoss of its own"):
        train(loss={"a": kept, "b": kept})


def test_running_counts_of_two_outputs_do_not_mix():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    entry = keras.layers.Input((4,))
    heads = [keras.layers.Dense(1)(entry) for _ in range(2)]

    def train(*losses):
        model = keras.Model(entry, heads)
        model.compile("sgd", loss=list(losses), run_eagerly=True)
        model.fit(x, [y, y], verbose=0)

    one, other = (pgm.PolicyGradientLoss("f1", running_counts=True) for _ in range(2))
    train(one, other)
    with pytest.raises(ValueError, match="PolicyGradientLoss of its own"):
        train(one, one)


@pytest.mark.filterwarnings("ignore")
def test_models_of_the_former_keras_are_refused():
    tf_keras = pytest.importorskip("tf_keras")
    x, y, _ = toy()

    def train(callbacks=(), **compiled):
        model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
        model.compile("sgd", **compiled)
        model.fit(x, y, verbose=0, callbacks=list(callbacks))

    with pytest.raises(TypeError, match="PolicyGradientLoss works with Keras 3"):
        train(loss=pgm.PolicyGradientLoss("f1"))
    with pytest.raises(TypeError, match="RewardMetric works with Keras 3"):
        train(loss="mse", metrics=[pgm.RewardMetric("f1")])
    with pytest.raises(TypeError, match="StopOnBadBatch works with Keras 3"):
        train(loss="mse", callbacks=[pgm.StopOnBadBatch()])
    with pytest.raises(TypeError, match="finetune works with Keras 3"):
        pgm.finetune(tf_keras.Sequential([tf_keras.layers.Dense(1)]), x, y, reward="f1")


# Saved models.


@pytest.mark.parametrize("kind", [tf.Variable, tf.constant, keras.Variable])
def test_weights_that_are_variables_are_saved_as_numbers(tmp_path, kind):
    x, y, model = toy(keras.layers.Dense(1))
    loss = pgm.PolicyGradientLoss("f1", cross_entropy=kind(0.5))
    model.compile("sgd", loss=loss, run_eagerly=True)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").loss.cross_entropy == 0.5


def test_a_model_with_a_dictionary_of_inputs_is_exported(tmp_path):
    inputs = {name: keras.layers.Input((size,), name=name) for name, size in (("b", 2), ("a", 4))}
    joined = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
    model = keras.Model(inputs, keras.layers.Dense(3)(joined))
    pgm.export_decision(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    x = {"a": tf.random.stateless_normal([5, 4], [0, 1]), "b": tf.ones([5, 2])}
    np.testing.assert_array_equal(served.serve(x)["labels"], np.argmax(model(x), axis=-1))


def test_a_file_of_the_former_keras_is_named(tmp_path):
    toy(keras.layers.Dense(1))[2].save(tmp_path / "new.keras")
    files = zipfile.ZipFile(tmp_path / "new.keras"), zipfile.ZipFile(tmp_path / "old.keras", "w")
    with files[0] as new, files[1] as old:
        for name in new.namelist():
            old.writestr(name, new.read(name).replace(keras.__version__.encode(), b"2.15.0"))
    with pytest.raises(ValueError, match=r"written by Keras 2\.15\.0"):
        pgm.load_model(tmp_path / "old.keras")


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "imports",
    [
        "import keras, policygrad_metrics; all = [keras]",
        "from policygrad_metrics import get_reward; get_reward('f1'); import keras, "
        "tensorflow as tf; all = [keras, tf.keras]",
    ],
)
def test_keras_alone_loads_models_where_the_package_was_imported(tmp_path, imports):
    model = toy(keras.layers.Dense(1))[2]
    model.compile("sgd", pgm.PolicyGradientLoss("f1"), metrics=[pgm.RewardMetric("f1")])
    model.save(tmp_path / "model.keras")
    code = (
        f"{imports}; "
        f"models = [one.models.load_model({str(tmp_path / 'model.keras')!r}) for one in all]; "
        "assert {model.loss.reward.name for model in models} == {'f1'}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
