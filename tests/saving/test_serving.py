"""Saving, loading and serving: with our classes compiled in, and without this package."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.decision import rules
from policygrad_metrics.saving import DecisionLayer
from policygrad_metrics.saving.serving import decide_in_graph


def toy(outputs=3, N=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    y = np.argmax(x[:, : max(2, outputs)] + 0.3 * rng.normal(size=(N, max(2, outputs))), axis=1)
    return x, y


def network(outputs=3, activation=None):
    start = keras.initializers.GlorotUniform(seed=0)
    return keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(outputs, activation, kernel_initializer=start),
        ]
    )


# ---------------------------------------------------------------- load_model

LOSSES = {
    "softmax": (3, lambda: pgm.PolicyGradientLoss("f1_macro"), "softmax"),
    "cumulative": (
        2,
        lambda: pgm.PolicyGradientLoss("cohen_kappa_quadratic", policy="cumulative_link"),
        "cumulative_link",
    ),
    "binned": (
        2,
        lambda: pgm.PolicyGradientLoss(
            "exact_bin", policy=pgm.policies.BinnedRegression(edges=(0.5, 1.5), unit=2.0)
        ),
        pgm.policies.BinnedRegression(edges=(0.5, 1.5), unit=2.0),
    ),
    "focal": (3, lambda: pgm.losses.FocalLoss(1.5), "softmax"),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.few(1)
def test_load_model_restores_loss_metric_policy_and_optimizer(name, tmp_path):
    outputs, loss, policy = LOSSES[name]
    x, y = toy()
    model = network(outputs)
    metric = pgm.RewardMetric("accuracy", policy=policy)
    model.compile("adam", loss=loss(), metrics=[metric], run_eagerly=True)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = pgm.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert loaded.loss.get_config() == model.loss.get_config()
    assert model.evaluate(x, y, verbose=0) == loaded.evaluate(x, y, verbose=0)
    for _ in range(2):  # the optimizer's state is there too
        model.train_on_batch(x, y)
        loaded.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_alone(tmp_path):
    x, y = toy()
    model, other = network(), network()
    for each in (model, other):
        each.compile("adam", loss=pgm.PolicyGradientLoss("f1_macro"), run_eagerly=True)
        each.optimizer.build(each.trainable_variables)
    model.train_on_batch(x, y)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert model.evaluate(x, y, verbose=0) == other.evaluate(x, y, verbose=0)


def test_unsafe_content_is_refused_as_keras_does(tmp_path):
    """A lambda as a layer and one as a reward: both hold Python code."""
    layer = keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: 2 * x)])
    layer.save(tmp_path / "layer.keras")
    reward = network()
    hits = pgm.rewards.CountReward(lambda confusion: confusion[..., 1, 1])
    reward.compile("sgd", loss=pgm.PolicyGradientLoss(hits))
    with pytest.warns(UserWarning, match="includes a `lambda`"):
        reward.save(tmp_path / "reward.keras")
    for name in ("layer", "reward"):
        with pytest.raises(ValueError, match="disallowed by default"):
            pgm.load_model(tmp_path / f"{name}.keras")
        with pytest.raises(ValueError, match="disallowed by default"):
            keras.saving.load_model(tmp_path / f"{name}.keras")
    trusted = pgm.load_model(tmp_path / "reward.keras", safe_mode=False)
    assert float(trusted.loss.reward([0, 1, 1], [0, 1, 0])) == 1.0


def share_right(y_true, y_pred):
    return float((y_true == y_pred).mean())


def test_functions_of_your_own_that_are_not_registered(tmp_path):
    model = network()
    model.compile("sgd", loss=pgm.PolicyGradientLoss(share_right), jit_compile=False)
    model.save(tmp_path / "model.keras")
    with pytest.raises(TypeError, match="Could not locate function 'share_right'"):
        pgm.load_model(tmp_path / "model.keras")
    mine = {"share_right": share_right}
    loaded = pgm.load_model(tmp_path / "model.keras", custom_objects=mine)
    assert loaded.loss.reward.function is share_right


def test_files_that_are_no_models(tmp_path):
    network().save(tmp_path / "model.keras")
    whole = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "torn.keras").write_bytes(whole[:-40])
    (tmp_path / "text.keras").write_text("no model")
    network().save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(FileNotFoundError, match=r"In that folder: .*model\.keras"):
        pgm.load_model(tmp_path / "modle.keras")
    for name in ("torn.keras", "text.keras"):
        with pytest.raises(ValueError, match=r"no \.keras file, or a torn one"):
            pgm.load_model(tmp_path / name)
    with pytest.raises(ValueError, match=r"model\.load_weights"):
        pgm.load_model(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="it is a folder"):
        pgm.load_model(tmp_path)


# ---------------------------------------------------------------- the decision


@pytest.mark.parametrize(
    "rule",
    [
        rules.ArgMax(),
        rules.Offsets((1.0, 0.5, 2.5)),
        rules.CutPoints((0.7, 1.2)),
        rules.PluginGain((((1.0, 0.0, 0.2), (0.0, 1.5, 0.0), (0.1, 0.0, 2.0)),)),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_rules_in_a_graph_decide_as_rules_in_numpy(rule):
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=(500, 1))
    p[:5] = 1 / 3  # ties
    np.testing.assert_array_equal(decide_in_graph(rule, tf.constant(p)), rule.decide(p))


def test_thresholds_in_a_graph():
    p = np.random.default_rng(0).uniform(size=(200, 3))
    p[:3] = 0.5
    p = np.stack([1 - p, p], axis=-1)
    rule = rules.Thresholds((0.3, 0.5, 0.8))
    np.testing.assert_array_equal(decide_in_graph(rule, tf.constant(p)), rule.decide(p))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A softmax model with tuned offsets and a label-column model with tuned thresholds, served
    by a process that has not imported this package, and then reads a `.keras` file with it."""
    folder = tmp_path_factory.mktemp("exported")
    x, y = toy()
    np.save(folder / "x.npy", x)
    expected = {}

    model = network()
    p = keras.ops.softmax(model(x)).numpy()
    tuner = pgm.DecisionTuner("f1_macro").fit(p, y)
    pgm.export_decision(model, folder / "softmax", decision=tuner)
    expected["softmax"] = {"labels": tuner.predict(p), "probabilities": p}

    model = network(2, "sigmoid")
    p = model(x).numpy()
    columns = (x[:, :2] > 0.5).astype(int)
    tuner = pgm.DecisionTuner("f1_macro", multilabel=True).fit(p, columns)
    pgm.export_decision(model, folder / "columns", policy="sigmoid", decision=tuner)
    expected["columns"] = {"labels": tuner.predict(p), "probabilities": p}

    layer = DecisionLayer("softmax", rules.Offsets((1.0, 2.0, 3.0)))
    whole = keras.Sequential([network(), layer])
    whole.compile("sgd", loss=pgm.PolicyGradientLoss("f1_macro"))
    whole.save(folder / "model.keras")
    expected["load_model"] = {"reward": "f1_macro", "weights": [1.0, 2.0, 3.0]}

    code = (
        "import sys, json, numpy, tensorflow as tf\n"
        "for name in ('softmax', 'columns'):\n"
        "    model = tf.saved_model.load(sys.argv[1] + '/' + name)\n"
        "    x = tf.constant(numpy.load(sys.argv[1] + '/x.npy'))\n"
        "    out, same = model.serve(x), model.signatures['serving_default'](x)\n"
        "    assert all(bool(tf.reduce_all(out[k] == same[k])) for k in out)\n"
        "    print(json.dumps({k: v.numpy().tolist() for k, v in out.items()}))\n"
        "assert not any(m.startswith('policygrad_metrics') for m in sys.modules)\n"
        "import policygrad_metrics as pgm\n"
        "model = pgm.load_model(sys.argv[1] + '/model.keras')\n"
        "reward, rule = model.loss.reward, model.layers[-1].rule\n"
        "print(json.dumps({'reward': reward.name, 'weights': rule.weights}))\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return expected, dict(zip(expected, answers, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "columns"])
def test_an_exported_decision_is_served_without_this_package(exported, name):
    expected, answers = (each[name] for each in exported)
    np.testing.assert_array_equal(answers["labels"], expected["labels"])
    # A sigmoid's probabilities come back through log-odds, in float32.
    np.testing.assert_allclose(answers["probabilities"], expected["probabilities"], atol=1e-6)


@pytest.mark.slow
def test_a_fresh_process_needs_only_load_model(exported):
    expected, answers = (each["load_model"] for each in exported)
    assert answers == expected


def test_the_layer_reads_dense_sites_and_locations():
    z = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    out = DecisionLayer("softmax")(z)
    np.testing.assert_array_equal(out["labels"], z.argmax(-1))
    policy = pgm.policies.BinnedRegression(edges=(10.0, 20.0), center=15.0, unit=5.0)
    out = DecisionLayer(policy)(np.array([[0.0, -9.0], [4.0, -9.0]], np.float32))
    assert out["labels"].numpy().tolist() == [1, 2]
    np.testing.assert_allclose(out["location"], [15.0, 35.0])


def test_decisions_that_do_not_fit(tmp_path):
    model = network()
    with pytest.raises(ValueError, match="tuned for 2 classes; the outputs have 3"):
        pgm.export_decision(model, tmp_path, decision=rules.Offsets((1.0, 2.0)))
    with pytest.raises(ValueError, match="thresholds decide between two classes"):
        DecisionLayer("softmax", rules.Thresholds((0.2,)))(np.zeros((1, 3)))
    with pytest.raises(TypeError, match="after fit"):
        DecisionLayer("softmax", pgm.DecisionTuner("f1"))
    with pytest.raises(TypeError, match="method='threshold'"):
        DecisionLayer("sigmoid", rules.ExpectedF())
    with pytest.raises(ValueError, match="give input_signature"):
        pgm.export_decision(keras.Sequential([keras.layers.Dense(2)]), tmp_path)
    inputs = keras.Input((4,))
    two = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(1)(inputs)])
    with pytest.raises(ValueError, match="must have one output"):
        pgm.export_decision(two, tmp_path)
    with pytest.raises(ValueError, match="does not read the probabilities"):
        pgm.export_decision(network(2, "softmax"), tmp_path, policy="cumulative_link")
