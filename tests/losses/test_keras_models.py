"""Every kind of Keras model and input, trained with the policy-gradient loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm

RATE = 0.1
TOLERANCE = 1e-5  # float32, a few steps of size 0.1


def toy(N=96):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    y = np.argmax(x[:, :3] + 0.3 * rng.normal(size=(N, 3)), axis=1)
    return x, y, rng.gamma(2.0, size=N).astype(np.float32)


X, TRUTH, WEIGHT = toy()


def layers(dtype=None):
    starts = [keras.initializers.GlorotUniform(seed=seed) for seed in (0, 1)]
    return [
        keras.layers.Dense(8, "tanh", kernel_initializer=starts[0], dtype=dtype),
        keras.layers.Dense(3, kernel_initializer=starts[1], dtype=dtype),
    ]


def sequential():
    return keras.Sequential([keras.layers.Input((4,)), *layers()])


def functional():
    inputs = keras.Input((4,))
    hidden, last = layers()
    return keras.Model(inputs, last(hidden(inputs)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = layers()

    def call(self, x):
        return self.last(self.hidden(x))


def compiled(model, **options):
    options = options or {"run_eagerly": True}
    loss = pgm.PolicyGradientLoss("f1_macro")
    metrics = [pgm.RewardMetric("f1_macro")]
    sgd = keras.optimizers.SGD(RATE)
    model.compile(sgd, loss=loss, weighted_metrics=metrics, **options)
    return model


def batches(x=X, y=TRUTH, w=WEIGHT, size=32):
    for i in range(0, len(x), size):
        yield x[i : i + size], y[i : i + size], w[i : i + size]


@pytest.fixture(scope="module")
def by_hand():
    """The weights after one epoch of three weighted batches, with GradientTape."""
    model = sequential()
    loss = pgm.PolicyGradientLoss("f1_macro")
    for x, y, w in batches():
        with tf.GradientTape() as tape:
            value = loss(y, model(x), w)
        slopes = tape.gradient(value, model.trainable_variables)
        for variable, slope in zip(model.trainable_variables, slopes, strict=True):
            variable.assign_sub(RATE * slope)
    return model.get_weights()


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return list(batches())[index]


def dataset():
    return tf.data.Dataset.from_tensor_slices((X, TRUTH, WEIGHT)).batch(32)


def arrays():
    return {"x": X, "y": TRUTH, "sample_weight": WEIGHT, "batch_size": 32}


FITS = {
    "arrays": (sequential, arrays, {}),
    "functional": (functional, arrays, {}),
    "subclassed": (Subclassed, arrays, {}),
    "tf.data": (sequential, lambda: {"x": dataset()}, {}),
    "generator": (sequential, lambda: {"x": batches(), "steps_per_epoch": 3}, {}),
    "PyDataset": (sequential, lambda: {"x": Batches()}, {}),
    "graph": (sequential, lambda: {"x": dataset()}, {"jit_compile": False}),
    "xla, steps_per_execution": (
        sequential,
        lambda: {"x": dataset()},
        {"jit_compile": True, "steps_per_execution": 3},
    ),
}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.few(2)
def test_every_way_to_fit_ends_with_the_weights_of_a_loop_by_hand(name, by_hand):
    build, data, options = FITS[name]
    model = compiled(build(), **options)
    history = model.fit(**data(), shuffle=False, verbose=0).history
    assert 0.0 < history["f1_macro"][0] < 1.0
    for found, expected in zip(model.get_weights(), by_hand, strict=True):
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_class_weight_is_the_sample_weight_of_each_class():
    weight = {0: 1.0, 1: 2.0, 2: 5.0}
    ends = []
    for options in ({"class_weight": weight}, {"sample_weight": np.array([1.0, 2.0, 5.0])[TRUTH]}):
        model = compiled(sequential())
        model.fit(X, TRUTH, batch_size=48, shuffle=False, verbose=0, **options)
        ends.append(model.get_weights())
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE)


@pytest.mark.slow
def test_mixed_precision():
    """Half precision inside, float32 weights and counts, and the loss scaled by Keras."""
    model = keras.Sequential([keras.layers.Input((4,)), *layers("mixed_float16")])
    assert model(X).dtype == tf.float16
    loss = pgm.PolicyGradientLoss("f1_macro")
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.03))
    model.compile(optimizer, loss=loss, metrics=[pgm.RewardMetric("f1_macro")], run_eagerly=True)
    history = model.fit(X, TRUTH, batch_size=96, epochs=12, shuffle=False, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.1
    assert history["f1_macro"][-1] > history["f1_macro"][0]
    assert all(w.dtype == np.float32 and np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.few(1)
def test_the_metric_counts_beyond_what_float32_can(policy, jit_compile):
    """2^24 + 1 is no float32: beside that many, three more right answers would be lost."""
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Identity(dtype=policy)])
    metric = pgm.RewardMetric("precision")
    model.compile(
        loss="sparse_categorical_crossentropy", weighted_metrics=[metric], jit_compile=jit_compile
    )
    x = np.array([[0.0, 1.0]] * 7, np.float32)
    y, weight = np.array([0, 1, 1, 1, 0, 0, 0]), np.array([2.0**24, 1, 1, 1, 0, 0, 0])
    found = model.evaluate(x, y, batch_size=1, sample_weight=weight, verbose=0)[1]
    assert metric.variables[0].dtype == "float64"
    assert found == pytest.approx(3 / (2**24 + 3), rel=2.0**-23)
    np.testing.assert_array_equal(metric.variables[0][0], [[0, 2**24], [0, 3]])


def test_a_policy_gradient_head_beside_an_ordinary_one():
    """The weights move by the weighted sum of both losses' gradients."""
    value = X[:, 3:] * 2.0

    def two_heads():
        inputs = keras.Input((4,))
        hidden, last = layers()
        shared = hidden(inputs)
        start = keras.initializers.GlorotUniform(seed=2)
        number = keras.layers.Dense(1, kernel_initializer=start, name="number")(shared)
        level = keras.layers.Activation("linear", name="level")(last(shared))
        return keras.Model(inputs, {"level": level, "number": number})

    model, twin = two_heads(), two_heads()
    loss = pgm.PolicyGradientLoss("f1_macro")
    model.compile(
        keras.optimizers.SGD(RATE),
        loss={"level": loss, "number": "mean_squared_error"},
        loss_weights={"level": 2.0, "number": 0.5},
        metrics={"level": [pgm.RewardMetric("f1_macro")], "number": ["mean_absolute_error"]},
        run_eagerly=True,
    )
    truth = {"level": TRUTH, "number": value}
    history = model.fit(X, truth, batch_size=96, shuffle=False, verbose=0).history
    with tf.GradientTape() as tape:
        outputs = twin(X)
        error = tf.reduce_mean((outputs["number"] - value) ** 2)
        total = 2.0 * loss(TRUTH, outputs["level"]) + 0.5 * error
    assert history["loss"][0] == pytest.approx(float(total), abs=1e-5)
    assert {"level_f1_macro", "number_mean_absolute_error"} <= set(history)
    weights = twin.trainable_variables
    for slope, start, after in zip(
        tape.gradient(total, weights), weights, model.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(after, start - RATE * slope, atol=TOLERANCE)


def test_a_frozen_backbone_keeps_every_bit():
    backbone = keras.Sequential(
        [keras.layers.Input((4,)), layers()[0], keras.layers.BatchNormalization()]
    )
    backbone.trainable = False
    model = compiled(keras.Sequential([backbone, layers()[1]]))
    frozen, head = backbone.get_weights(), model.layers[1].get_weights()
    model.fit(X, TRUTH, batch_size=48, epochs=2, verbose=0)
    for a, b in zip(backbone.get_weights(), frozen, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all((a != b).any() for a, b in zip(model.layers[1].get_weights(), head, strict=True))


def test_terminate_on_nan_sees_weights_that_became_nan():
    """Under XLA, where no error can be raised; 1 - reward by itself would be a valid number."""
    model = keras.Sequential([keras.layers.Input((4,)), layers()[1]])
    loss = pgm.PolicyGradientLoss("accuracy", cross_entropy=0.0)
    model.compile(keras.optimizers.SGD(RATE), loss=loss, jit_compile=True)
    seen = []

    def spoil(batch, logs):
        seen.append(logs["loss"])
        if batch == 1:
            kernel = model.layers[0].kernel.numpy()
            kernel[0, 0] = np.nan
            model.layers[0].kernel.assign(kernel)

    spoiler = keras.callbacks.LambdaCallback(on_train_batch_end=spoil)
    model.fit(
        X,
        TRUTH,
        batch_size=16,
        epochs=3,
        shuffle=False,
        callbacks=[spoiler, keras.callbacks.TerminateOnNaN()],
        verbose=0,
    )
    assert np.isfinite(seen).tolist() == [True, True, False]
