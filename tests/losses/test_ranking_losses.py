"""PolicyGradientLoss and RewardMetric on rewards of rankings."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score, ndcg_score

import policygrad_metrics as pgm

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=[4, 6]).astype("float32")
GRADES = RNG.integers(0, 4, [4, 6])
MASK = np.array([[1, 1, 1, 1, 1, 0]] * 2 + [[1] * 6] * 2, "float32")


def slope(loss, y, outputs, weight=None, jit=None):
    def run(outputs):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = loss(y, outputs, weight)
        return value, tape.gradient(value, outputs)

    call = run if jit is None else tf.function(run, jit_compile=jit, autograph=False)
    return [x.numpy() for x in call(tf.constant(outputs))]


@pytest.mark.few(1)
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    ("name", "y", "outputs", "weight"),
    [
        ("average_precision", GRADES[:, 0] > 1, SCORES[:, :1], None),
        ("average_precision", GRADES > 1, SCORES, MASK),
        ("ndcg@3", GRADES, SCORES, MASK),
        ("recall@2", GRADES > 1, SCORES, MASK),
    ],
)
def test_a_graph_and_xla_give_what_eager_mode_gives(name, y, outputs, weight, jit):
    loss = pgm.PolicyGradientLoss(name)
    value, gradient = slope(loss, y, outputs, weight)
    again = slope(loss, y, outputs, weight, jit)
    np.testing.assert_allclose(again[0], value, rtol=2e-6)
    np.testing.assert_allclose(again[1], gradient, atol=2e-7)
    assert np.linalg.norm(gradient) > 1e-3


def test_the_loss_is_one_minus_the_expectation_and_the_cross_entropy():
    y, outputs = np.array([1, 0, 0, 1]), SCORES[:, :1]
    plain = pgm.PolicyGradientLoss("average_precision", cross_entropy=0.0)(y, outputs)
    exact = pgm.estimators.ExactExpectation()(outputs[:, 0], pgm.get_reward("average_precision"), y)
    np.testing.assert_allclose(plain, 1.0 - exact.value, rtol=1e-6)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)(y[:, None], outputs)
    mixed = pgm.PolicyGradientLoss("average_precision")(y, outputs)
    np.testing.assert_allclose(mixed, plain + 0.3 * binary, rtol=1e-6)
    plain = pgm.PolicyGradientLoss("ndcg", cross_entropy=0.0)(GRADES, SCORES, MASK)
    shares = GRADES * MASK / (GRADES * MASK).sum(axis=1, keepdims=True)
    log_probs = tf.nn.log_softmax(np.where(MASK > 0, SCORES, -1e9)).numpy()
    mixed = pgm.PolicyGradientLoss("ndcg", cross_entropy=0.5)(GRADES, SCORES, MASK)
    np.testing.assert_allclose(mixed, plain - 0.5 * (shares * log_probs).sum(1).mean(), rtol=1e-6)


def test_positives_count_as_much_as_negatives_in_the_cross_entropy():
    y, outputs, weight = np.array([1, 0, 0, 0]), SCORES[:, :1], np.array([1.0, 1.0, 2.0, 0.0])
    reward = "roc_auc"

    def mixed_in(y, **arguments):
        plain = pgm.PolicyGradientLoss(reward, cross_entropy=0.0)(y, outputs, weight)
        return pgm.PolicyGradientLoss(reward, **arguments)(y, outputs, weight) - plain

    each = tf.nn.sigmoid_cross_entropy_with_logits(y[:, None].astype("float32"), outputs)[:, 0]
    alike = 0.5 * each[0] + 0.5 * (each[1] + 2.0 * each[2]) / 3.0
    np.testing.assert_allclose(mixed_in(y), 0.3 * alike, rtol=1e-5)
    equal = (each[0] + each[1] + 2.0 * each[2]) / 4.0
    np.testing.assert_allclose(mixed_in(y, cross_entropy_weights="equal"), 0.3 * equal, rtol=1e-5)
    nothing = tf.nn.softplus(outputs[:, 0])  # a batch without positives
    expected = 0.3 * (nothing[0] + nothing[1] + 2.0 * nothing[2]) / 4.0
    np.testing.assert_allclose(mixed_in(0 * y), expected, rtol=1e-5)


def test_padding_changes_nothing():
    loss = pgm.PolicyGradientLoss("ndcg@3")
    value, gradient = slope(loss, GRADES, SCORES)
    padded = [np.pad(x, [(0, 0), (0, 2)]) for x in (GRADES, SCORES, np.ones([4, 6], "float32"))]
    padded[0][:, 6:], padded[1][:, 6:] = -5, 50.0
    again = slope(loss, *padded)
    np.testing.assert_allclose(again[0], value, rtol=1e-6)
    np.testing.assert_allclose(again[1][:, :6], gradient, atol=1e-7)
    assert not again[1][:, 6:].any()


@pytest.mark.parametrize(
    "name", ["average_precision", "roc_auc", "reciprocal_rank", "ndcg", "recall@2"]
)
def test_a_batch_without_positives_says_nothing(name):
    loss = pgm.PolicyGradientLoss(name, cross_entropy=0.0)
    value, gradient = slope(loss, np.zeros(4), SCORES[:, :1])
    assert value == 1.0
    assert not gradient.any()
    value, gradient = slope(loss, np.zeros(4), SCORES[:, :1], np.zeros(4, "float32"))
    assert value == 1.0
    assert not gradient.any()


def test_bad_truth_is_told_and_is_nan_under_xla():
    loss = pgm.PolicyGradientLoss("average_precision")
    with pytest.raises(ValueError, match=r"reads 0 and 1.*\[2.0\]"):
        loss([0, 2, 1, 0], SCORES[:, :1])
    value, gradient = slope(loss, np.array([0, 2, 1, 0]), SCORES[:, :1], jit=True)
    assert np.isnan(value)
    assert not gradient.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pgm.PolicyGradientLoss("roc_auc")([0, 1, 1, 0], SCORES), "one score for each"),
        (lambda: pgm.PolicyGradientLoss("roc_auc", policy="softmax"), "scores a ranking"),
        (lambda: pgm.PolicyGradientLoss("f1", policy="plackett_luce"), "scores labels"),
        (lambda: pgm.RewardMetric("f1", policy="plackett_luce"), "scores labels"),
        (lambda: pgm.PolicyGradientLoss("roc_auc", entropy=0.1), "entropy=0.1 is for"),
        (lambda: pgm.PolicyGradientLoss("roc_auc", running_counts=True), "running_counts=True"),
        (lambda: pgm.PolicyGradientLoss("roc_auc", subject_to="recall >= 0.5"), "subject_to="),
        (lambda: pgm.PolicyGradientLoss("ndcg")(GRADES, SCORES[..., None]), r"Reshape\(\[6\]\)"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_metric_ranks_the_whole_set():
    y, s = RNG.random(50) < 0.3, np.round(RNG.normal(size=50), 1).astype("float32")
    metric = pgm.RewardMetric("average_precision")
    for part in (slice(0, 20), slice(20, 23), slice(23, 50)):
        metric.update_state(y[part], s[part, None])
    assert float(metric.result()) == pytest.approx(average_precision_score(y, s))
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_the_metric_of_lists_is_their_mean():
    metric = pgm.RewardMetric("ndcg@3")
    metric.update_state(GRADES[:1], SCORES[:1])
    metric.update_state(GRADES[1:], SCORES[1:])
    assert float(metric.result()) == pytest.approx(ndcg_score(GRADES, SCORES, k=3))
    again = pgm.RewardMetric.from_config(metric.get_config())
    again.update_state(GRADES, SCORES)
    assert float(again.result()) == pytest.approx(float(metric.result()))


def test_own_functions_train_by_sampling():
    own = pgm.rewards.RankingReward(average_precision_score)
    loss = pgm.PolicyGradientLoss(own, gradient_estimator=pgm.estimators.Reinforce(samples=400))
    exact = pgm.PolicyGradientLoss("average_precision")
    y, outputs = np.array([1, 0, 0, 1]), SCORES[:, :1]
    sampled, known = (slope(each, y, outputs)[1] for each in (loss, exact))
    assert np.linalg.norm(sampled - known) < 0.3 * np.linalg.norm(known)


def test_a_model_fits_and_comes_back(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    y = (x[:, 0] > 1.0).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    model.compile(
        keras.optimizers.Adam(0.2),
        loss=pgm.PolicyGradientLoss("average_precision"),
        metrics=[pgm.RewardMetric("average_precision")],
        run_eagerly=True,
    )
    model.fit(x, y, batch_size=200, epochs=12, verbose=0)
    loss, value = model.evaluate(x, y, batch_size=128, verbose=0)
    assert value == pytest.approx(average_precision_score(y, model.predict(x, verbose=0)[:, 0]))
    assert value > 0.95
    model.save(tmp_path / "model.keras")
    again = pgm.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, batch_size=128, verbose=0) == pytest.approx([loss, value])


def test_partial_areas_refuse_weights_that_differ_in_a_training_step():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", loss=pgm.PolicyGradientLoss("partial_roc_auc"), jit_compile=False)
    x, y = SCORES[:, :2], GRADES[:, 0] > 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="weights that are 0 or equal"):
        model.fit(x, y, sample_weight=np.array([1.0, 2.0, 3.0, 4.0]), verbose=0)
    fitted = model.fit(x, y, sample_weight=np.array([2.0, 2.0, 0.0, 2.0]), verbose=0)
    assert np.isfinite(fitted.history["loss"][0])


@pytest.mark.parametrize("name", ["average_precision", "ndcg@3"])
def test_scores_far_apart_are_ranked_as_they_stand(name):
    y, outputs = GRADES > 1, SCORES * np.float32(1e12)
    loss = pgm.PolicyGradientLoss(name, cross_entropy=0.0)
    value, gradient = slope(loss, y, outputs, MASK, jit=False)
    np.testing.assert_allclose(1.0 - value, pgm.get_reward(name)(y, outputs, MASK), rtol=1e-5)
    assert np.abs(gradient).max() < 1e-13
    # Only the distance of the two parts is another: 64 and 1,024 are both for ever.
    parts = (np.arange(6) < 3) * np.ones([4, 1], "float32")
    near, far = (slope(loss, y, SCORES + by * parts, MASK, jit=False) for by in (64.0, 1024.0))
    np.testing.assert_allclose(near[0], far[0], atol=1e-4)
    np.testing.assert_allclose(near[1], far[1], atol=1e-4)
