"""What holds for every surrogate: weights, gradients, saturation, graph and XLA, names, errors."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf
from surrogate_cases import CASES, PLAIN_CASES, TASKS, random_batch, suits, value_and_gradient

from policygrad_metrics import surrogates
from policygrad_metrics.surrogates import SURROGATES, default_hyperparameters, get_surrogate


def assert_weights_are_multiplicities(surrogate, batch, hyper):
    """Weight zero is the row removed, weight two the row twice, in value and in gradient."""
    logits, y_true, weight = batch
    times = np.array([1, 0, 2, 1, 0, 2, 1, 1, 3])
    value, gradient = value_and_gradient(
        surrogate, logits, y_true, weight * times[:, None], **hyper
    )
    rows = np.repeat(np.arange(len(times)), times)
    value_rows, gradient_rows = value_and_gradient(
        surrogate, logits[rows], y_true[rows], weight[rows], **hyper
    )
    np.testing.assert_allclose(value, value_rows, rtol=0, atol=1e-13)
    summed = np.zeros_like(logits)
    np.add.at(summed, rows, gradient_rows.numpy())
    np.testing.assert_allclose(gradient, summed, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "task", "hyper"), CASES)
def test_weights_are_multiplicities(name, task, hyper):
    assert_weights_are_multiplicities(SURROGATES[name], random_batch(task, 10), hyper)


def test_the_weight_test_catches_a_mere_scale():
    def scaled_by_the_mean_weight(logits, y_true, weight):
        unweighted = surrogates.soft_f1(logits, y_true, np.ones_like(weight))
        return unweighted * tf.reduce_mean(weight)

    with pytest.raises(AssertionError):
        assert_weights_are_multiplicities(scaled_by_the_mean_weight, random_batch("binary", 10), {})


@pytest.mark.few(28)
@pytest.mark.parametrize(("name", "task", "hyper"), CASES)
def test_scaling_all_weights_changes_nothing(name, task, hyper):
    logits, y_true, weight = random_batch(task, 11)
    value = SURROGATES[name](logits, y_true, weight, **hyper)
    scaled = SURROGATES[name](logits, y_true, 7.0 * weight, **hyper)
    np.testing.assert_allclose(value, scaled, rtol=1e-12)


def gentle(name, hyper):
    return {"L": 5.0, **hyper} if name == "anyloss" else hyper


@functools.cache
def finite_differences(task):
    """Of every case of a task, by one function, which is traced once."""
    logits, y_true, weight = random_batch(task, 12, N=4)
    cases = [case.values for case in CASES if case.values[1] == task]

    @tf.function(autograph=False)
    def values(z):
        found = [SURROGATES[n](z, y_true, weight, **gentle(n, hyper)) for n, _, hyper in cases]
        return tf.stack(found)

    step = 1e-5
    numeric = np.zeros((len(cases), *logits.shape))
    for index in np.ndindex(*logits.shape):
        shift = np.zeros_like(logits)
        shift[index] = step
        ahead, behind = (values(tf.constant(logits + s)) for s in (shift, -shift))
        numeric[:, *index] = (ahead - behind) / (2 * step)
    return {(name, str(hyper)): one for (name, _, hyper), one in zip(cases, numeric, strict=True)}


@pytest.mark.parametrize(
    ("name", "task", "hyper"),
    [
        pytest.param(
            *c.values, id=c.id, marks=pytest.mark.slow if c.values[1] != "multi_class" else ()
        )
        for c in CASES
    ],
)
def test_gradients_are_those_of_finite_differences(name, task, hyper):
    batch = random_batch(task, 12, N=4)
    _, gradient = value_and_gradient(SURROGATES[name], *batch, **gentle(name, hyper))
    numeric = finite_differences(task)[name, str(hyper)]
    # step^2 times a third derivative of order 10, and rounding 1e-16 / step.
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=2e-9)
    assert np.abs(numeric).max() > 1e-4


def _all_members(task, cases):
    """One function with the value and gradient of every case of a task: it compiles once."""

    def run(logits, y_true, weight):
        return {
            case.id: value_and_gradient(
                SURROGATES[case.values[0]], logits, y_true, weight, **case.values[2]
            )
            for case in cases
            if case.values[1] == task
        }

    return run


@functools.cache
def _graph(task):
    C, K = TASKS[task]
    shapes = [
        tf.TensorSpec([None, C, K], tf.float32),
        tf.TensorSpec([None, C], tf.int32),
        tf.TensorSpec([None, C], tf.float32),
    ]
    return tf.function(_all_members(task, CASES), input_signature=shapes, autograph=False)


@functools.cache
def _xla(task):
    return tf.function(_all_members(task, PLAIN_CASES), jit_compile=True, autograph=False)


#: Two classes are a label column alone.
COMPILED_TASKS = [
    pytest.param("binary", marks=pytest.mark.slow),
    "multi_class",
    pytest.param("multi_label", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("compiled", [pytest.param(_graph, marks=pytest.mark.slow), _xla])
@pytest.mark.parametrize("task", COMPILED_TASKS)
@pytest.mark.few(1)
def test_saturated_logits_give_finite_values_and_gradients(task, compiled):
    C, K = TASKS[task]
    rng = np.random.default_rng(13)
    # Between 88 and 104 float32 probabilities are subnormal: 0 * (1 / p) is NaN on a device that
    # does not flush them to zero.
    for scale in [90.0, 96.0, 100.0, 1e4]:
        mixed = rng.choice([-scale, 0.0, scale], size=[8, C, K])
        one_sided = np.where(np.arange(K) == 0, scale, 0.0) + np.zeros([8, C, K])
        for z in (mixed, one_sided):
            for y_true in (rng.integers(K, size=[8, C]), np.zeros([8, C]), np.full([8, C], K - 1)):
                batch = tf.constant(z, tf.float32), tf.constant(y_true, tf.int32), tf.ones([8, C])
                for member, (value, gradient) in compiled(task)(*batch).items():
                    assert np.isfinite(value), (member, scale, y_true)
                    assert np.isfinite(gradient).all(), (member, scale, y_true)


def assert_agreement_with_eager(task, results, batch):
    for member, (value, gradient) in _all_members(task, PLAIN_CASES)(*batch).items():
        np.testing.assert_allclose(results[member][0], value, rtol=0, atol=2e-6, err_msg=member)
        # AnyLoss's slope of 73 magnifies the rounding of p.
        np.testing.assert_allclose(results[member][1], gradient, rtol=0, atol=1e-5, err_msg=member)


@pytest.mark.parametrize("compiled", [_graph, pytest.param(_xla, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", COMPILED_TASKS)
def test_eager_graph_and_xla_agree_with_an_absent_class(task, compiled):
    batch = [tf.constant(part) for part in random_batch(task, 15, N=8, dtype=np.float32)]
    batch[1] = tf.minimum(batch[1], TASKS[task][1] - 2)
    assert_agreement_with_eager(task, compiled(task)(*batch), batch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "compiled"), [*((task, _graph) for task in TASKS), ("binary", _xla)]
)
def test_eager_graph_and_xla_agree_on_one_example(task, compiled):
    batch = [tf.constant(part) for part in random_batch(task, 14, N=1, dtype=np.float32)]
    assert_agreement_with_eager(task, compiled(task)(*batch), batch)


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.few(2)
def test_replicas_can_be_vectorised(name):
    task = "multi_class" if suits(name, "multi_class") else "multi_label"
    batches = [random_batch(task, seed) for seed in (16, 17, 18)]
    stacked = [tf.stack(parts) for parts in zip(*batches, strict=True)]
    numbers = {k: v for k, v in default_hyperparameters(name).items() if isinstance(v, float)}
    factors = tf.constant([0.5, 1.0, 2.0], tf.float64)

    def run(arguments):
        logits, y_true, weight, factor = arguments
        trial = {k: v * factor for k, v in numbers.items()}
        return value_and_gradient(SURROGATES[name], logits, y_true, weight, **trial)

    values, gradients = tf.vectorized_map(run, (*stacked, factors))
    for r, (batch, factor) in enumerate(zip(batches, factors.numpy(), strict=True)):
        trial = {k: v * factor for k, v in numbers.items()}
        value, gradient = value_and_gradient(SURROGATES[name], *batch, **trial)
        np.testing.assert_allclose(values[r], value, rtol=0, atol=1e-12)
        np.testing.assert_allclose(gradients[r], gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "task", "hyper"), PLAIN_CASES)
def test_right_and_sure_is_better_than_wrong_and_sure(name, task, hyper):
    K = TASKS[task][1]
    _, y_true, weight = random_batch(task, 19, dtype=np.float32)
    y_true[:K] = np.arange(K)[:, None]  # an absent class has an F1 of 0 whatever is predicted
    right, wrong = (20 * np.eye(K, dtype=np.float32)[y] for y in (y_true, (y_true + 1) % K))
    best = float(SURROGATES[name](right, y_true, weight))
    if name != "sord":  # its soft labels have an entropy, and give other classes a share
        assert best == pytest.approx(0.0, abs=1e-6)
    assert float(SURROGATES[name](wrong, y_true, weight)) > 0.9


@pytest.mark.parametrize(("name", "task", "hyper"), PLAIN_CASES)
def test_nothing_but_zero_weights_is_finite_and_without_gradient(name, task, hyper):
    logits, y_true, weight = random_batch(task, 20)
    value, gradient = value_and_gradient(SURROGATES[name], logits, y_true, 0 * weight)
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient, np.zeros_like(logits))


# ---------------------------------------------------------------- names and errors


def test_names_are_those_of_the_functions_and_exported():
    for name, surrogate in SURROGATES.items():
        assert surrogate.__name__ == name
        assert getattr(surrogates, name) is surrogate
        assert get_surrogate(name) is surrogate


def test_unknown_name_offers_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'lovasz_softmax'"):
        get_surrogate("lovasz-softmax")
    with pytest.raises(ValueError, match="did you mean 'focal'"):
        default_hyperparameters("focals")


@pytest.mark.parametrize("name", SURROGATES)
def test_default_hyperparameters_are_the_defaults(name):
    batch = random_batch("binary", 21)
    value = SURROGATES[name](*batch, **default_hyperparameters(name))
    assert float(value) == float(SURROGATES[name](*batch))


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize(
    ("error", "words", "logits", "y_true", "weight"),
    [
        (ValueError, r"logits must be \[N, C, K\]", [4, 2], [4, 1], [4, 1]),
        (ValueError, "K >= 2", [4, 1, 1], [4, 1], [4, 1]),
        (ValueError, "must have K=2", [4, 3, 3], [4, 3], [4, 3]),
        (ValueError, "y_true must have the shape", [4, 1, 2], [4, 2], [4, 1]),
        (ValueError, "weight must have the shape", [4, 1, 2], [4, 1], [4]),
    ],
)
def test_bad_shapes_are_named(name, error, words, logits, y_true, weight):
    with pytest.raises(error, match=words):
        SURROGATES[name](tf.zeros(logits), tf.zeros(y_true, tf.int32), tf.ones(weight))


@pytest.mark.parametrize("name", SURROGATES)
def test_bad_dtypes_are_named(name):
    ones = tf.ones([4, 1])
    with pytest.raises(TypeError, match="y_true must be integer"):
        SURROGATES[name](tf.zeros([4, 1, 2]), ones, ones)
    with pytest.raises(TypeError, match="logits must be floating"):
        SURROGATES[name](tf.zeros([4, 1, 2], tf.int32), tf.ones([4, 1], tf.int32), ones)


@pytest.mark.parametrize(
    ("name", "task", "hyper", "words"),
    [
        ("soft_f1", "multi_class", {"average": "binary"}, "C=1, K=4"),
        ("lovasz_softmax", "multi_label", {"average": "binary"}, "C=3, K=2"),
        ("soft_jaccard", "binary", {"average": "macros"}, "did you mean 'macro'"),
        ("soft_fbeta", "binary", {"beta": 0.0}, "beta must be positive, got 0.0"),
        ("sol", "binary", {"delta": -0.1}, "delta must be positive, got -0.1"),
        ("sol", "binary", {"score": "acuracy"}, "did you mean 'accuracy'"),
        ("anyloss", "binary", {"L": float("nan")}, "L must be positive, got nan"),
        ("anyloss", "binary", {"score": "f2"}, "did you mean 'f1'"),
        ("sigmoid_f1", "binary", {"beta": -1.0}, "beta must be positive"),
        ("soft_kappa", "binary", {"weights": "quadratics"}, "did you mean 'quadratic'"),
        ("focal", "binary", {"gamma": -1.0}, "gamma must be >= 0"),
        ("focal", "binary", {"alpha": 1.5}, r"alpha must lie in \[0, 1\]"),
        ("focal", "multi_class", {"alpha": 0.25}, "alpha must be 4 numbers"),
        ("focal", "multi_class", {"alpha": [1.0, 2.0]}, r"shape \(4,\) or \(1, 4\)"),
        ("weighted_cross_entropy", "binary", {"class_weight": [1.0, -1.0]}, "not be negative"),
        ("weighted_cross_entropy", "binary", {"class_weight": [1.0]}, "class_weight must have"),
        ("lovasz_hinge", "multi_class", {}, "use lovasz_softmax"),
        *(
            (name, "multi_class", {"alpha": 0.0}, "alpha must be positive, got 0.0")
            for name in ("sord", "oll", "cdw", "slace")
        ),
    ],
)
def test_bad_hyperparameters_are_named(name, task, hyper, words):
    with pytest.raises(ValueError, match=words):
        SURROGATES[name](*random_batch(task, 22), **hyper)
