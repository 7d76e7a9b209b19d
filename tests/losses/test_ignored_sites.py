"""Sites without truth by their number, `ignore_class`: as with weight 0, and as left out."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

import policygrad_metrics as pgm

RNG = np.random.default_rng(0)
PIXELS = RNG.normal(size=(2, 3, 4, 3)).astype(np.float32)
MASKS = RNG.integers(0, 3, (2, 3, 4)).astype(np.uint8)
MASKS[0, 1], MASKS[1, :, 2] = 255, 255
COLUMNS = RNG.normal(size=(8, 3)).astype(np.float32)
TAGS = RNG.integers(0, 2, (8, 3)).astype(np.float32)
TAGS[1], TAGS[2:5, 1] = -1.0, -1.0

LOSSES = {
    "exact": functools.partial(pgm.PolicyGradientLoss, "f1_macro"),
    "drawn": functools.partial(pgm.PolicyGradientLoss, "accuracy", gradient_estimator="reinforce"),
    "surrogate": functools.partial(pgm.SurrogateLoss, "cross_entropy"),
    "focal": pgm.losses.FocalLoss,
}
DATA = {
    "pixels": (MASKS, PIXELS, 255, "softmax"),
    "columns": (TAGS, COLUMNS, -1, "sigmoid"),
}
MODES = {
    "eager": lambda f: f,
    "graph": lambda f: tf.function(f, autograph=False),
    "xla": lambda f: tf.function(f, autograph=False, jit_compile=True),
}


def value_and_gradient(loss, y_true, outputs, weight=None, mode="eager"):
    def step(outputs):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = loss(y_true, outputs, weight)
        return value, tape.gradient(value, outputs)

    value, gradient = MODES[mode](step)(tf.constant(outputs))
    return value.numpy(), gradient.numpy()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.few(1)
def test_ignored_sites_are_those_of_weight_0(kind, data, mode):
    make, (y, outputs, ignored, policy) = LOSSES[kind], DATA[data]
    weight = RNG.uniform(0.5, 2.0, y.shape[:1]).astype(np.float32)
    each = weight.reshape(-1, *[1] * (y.ndim - 1)) * (y != ignored)
    plain, ignoring = (make(policy=policy, ignore_class=x) for x in (None, ignored))
    expected = value_and_gradient(plain, y, outputs, each, mode)
    found = value_and_gradient(ignoring, y, outputs, weight, mode)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    if kind != "drawn":  # whose noise is zero in the mean only
        assert not found[1][y == ignored].any()
    assert found[1][y != ignored].any()


@pytest.mark.parametrize("kind", ["exact", "surrogate", "focal"])
def test_ignored_sites_are_as_good_as_left_out(kind):
    make, kept = LOSSES[kind], MASKS != 255
    expected = value_and_gradient(make(), MASKS[kept], PIXELS[kept])
    found = value_and_gradient(make(ignore_class=255), MASKS, PIXELS)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(found[1][kept], expected[1], atol=1e-7)


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", MODES)
def test_a_metric_leaves_ignored_sites_out(mode):
    metric = pgm.RewardMetric("f1_macro", num_classes=3, ignore_class=255)
    MODES[mode](metric.update_state)(MASKS, PIXELS)
    kept = MASKS != 255
    expected = f1_score(MASKS[kept], PIXELS.argmax(-1)[kept], average="macro")
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    metric = pgm.RewardMetric("f1_macro", "sigmoid", num_classes=3, ignore_class=-1)
    MODES[mode](metric.update_state)(TAGS, COLUMNS)
    each = [f1_score(y[y >= 0], z[y >= 0] > 0) for y, z in zip(TAGS.T, COLUMNS.T, strict=True)]
    assert float(metric.result()) == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.parametrize("ignored", [255, -1, 1])
def test_keras_ignores_the_same_sites(ignored):
    """A number that is a class, 1, ignores that class's sites."""
    y = np.where(MASKS == 255, ignored, MASKS.astype(np.int32))
    of_keras = keras.losses.SparseCategoricalCrossentropy(True, ignore_class=ignored)
    ours = pgm.SurrogateLoss("cross_entropy", ignore_class=ignored)
    assert float(ours(y, PIXELS)) == pytest.approx(float(of_keras(y, PIXELS)), rel=1e-6)
    iou = keras.metrics.MeanIoU(3, ignore_class=ignored, sparse_y_pred=False)
    iou.update_state(y, PIXELS)
    reward = pgm.get_reward("mean_iou", absent="skip")
    metric = pgm.RewardMetric(reward, ignore_class=ignored)
    metric.update_state(y, PIXELS)
    assert float(metric.result()) == pytest.approx(float(iou.result()), abs=1e-6)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", LOSSES)
def test_a_batch_of_ignored_sites_alone_has_no_gradient(kind, data):
    make, (y, outputs, ignored, policy) = LOSSES[kind], DATA[data]
    loss = make(policy=policy, ignore_class=ignored)
    value, gradient = value_and_gradient(loss, np.full_like(y, ignored), outputs)
    assert value == (1.0 if kind in ("exact", "drawn") else 0.0)
    assert not gradient.any()


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["label", "value"])
def test_every_policy_ignores(name):
    policy = {
        "label": pgm.policies.CumulativeLink(),
        "value": pgm.policies.BinnedRegression((0.0, 1.0)),
    }[name]
    outputs = RNG.normal(size=(6, 2)).astype(np.float32)
    y = np.array([0.0, 1.0, 2.0, 1.0, -200.0, -200.0])
    loss = pgm.PolicyGradientLoss("accuracy", policy, ignore_class=-200)
    plain = pgm.PolicyGradientLoss("accuracy", policy)
    assert float(loss(y, outputs)) == pytest.approx(float(plain(y[:4], outputs[:4])), rel=1e-6)


def test_the_number_is_saved():
    for make in (*LOSSES.values(), functools.partial(pgm.RewardMetric, "f1_macro")):
        made = make(ignore_class=np.int64(255))
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
        assert type(again) is type(made)
        assert again.ignore_class == 255


def test_what_cannot_be_ignored_is_refused():
    for number in (255.0, "255", True, np.nan):
        with pytest.raises(ValueError, match=r"ignore_class must be a whole number.*sample_weight"):
            pgm.RewardMetric("accuracy", ignore_class=number)
    loss = pgm.PolicyGradientLoss("accuracy", ignore_class=255)
    with pytest.raises(ValueError, match=r"First such values: \[254\]"):
        loss([0, 255, 254], np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match=r'one-hot rows.*policy="sigmoid"'):
        loss(np.eye(2), np.zeros((2, 2), np.float32))
