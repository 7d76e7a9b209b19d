"""Every policy, through the list ALL_POLICIES: a new member is covered by adding one row."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from policygrad_metrics.policies import (
    POLICIES,
    BinnedRegression,
    ContinuationRatio,
    CumulativeLink,
    Mixture,
    Policy,
    Sigmoid,
    Softmax,
    get_policy,
)

EPSILON = float(np.finfo(np.float32).eps)
EDGES = (35.0, 75.0, 115.0, 150.0, 250.0)

# policy, output columns, K, whether the output columns are label columns
ALL_POLICIES = [
    pytest.param(Softmax(), 2, 2, False, id="softmax-2"),
    pytest.param(Softmax(), 5, 5, False, id="softmax-5"),
    pytest.param(Sigmoid(), 1, 2, False, id="sigmoid-binary"),
    pytest.param(Sigmoid(), 4, 2, True, id="sigmoid-multilabel"),
    pytest.param(CumulativeLink(), 1, 2, False, id="cumulative-logistic-2"),
    pytest.param(CumulativeLink("logistic"), 5, 6, False, id="cumulative-logistic-6"),
    pytest.param(CumulativeLink("normal"), 5, 6, False, id="cumulative-normal-6"),
    pytest.param(ContinuationRatio(), 1, 2, False, id="continuation-2"),
    pytest.param(ContinuationRatio(), 4, 5, False, id="continuation-5"),
    pytest.param(BinnedRegression([0.0], scale=1.0), 1, 2, False, id="binned-one-edge"),
    pytest.param(
        BinnedRegression(EDGES, center=80.0, unit=60.0), 2, 6, False, id="binned-normal-learned"
    ),
    pytest.param(
        BinnedRegression(EDGES, "logistic", scale=25.0, center=80.0, unit=60.0),
        1,
        6,
        False,
        id="binned-logistic-fixed",
    ),
    pytest.param(Mixture(Softmax(), 3), 6, 2, False, id="mixture-softmax"),
]
every_policy = pytest.mark.parametrize(("policy", "size", "K", "multilabel"), ALL_POLICIES)


def outputs_for(size: int, *sites: int, seed: int = 0, spread: float = 1.5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, spread, (*sites, size)).astype(np.float32)


def sites_of(outputs: np.ndarray, multilabel: bool) -> tuple[int, ...]:
    return outputs.shape if multilabel else outputs.shape[:-1]


def value_and_gradient(function, *arguments):
    """The logits, and the gradient of a fixed random projection of their log-probabilities."""
    variables = [tf.convert_to_tensor(a) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = function(*variables)
        weights = tf.reshape(tf.sin(tf.range(tf.size(value), dtype=tf.float32)), tf.shape(value))
        total = tf.reduce_sum(weights * tf.nn.log_softmax(value))
    return value, tape.gradient(total, variables)[0]


def test_every_registered_policy_is_in_the_list():
    assert {row.values[0].name for row in ALL_POLICIES} == set(POLICIES)


@every_policy
@pytest.mark.parametrize("sites", [(7,), (1,), (2, 3, 4)])
def test_logits_are_log_probabilities_of_k_choices(policy, size, K, multilabel, sites):
    outputs = outputs_for(size, *sites)
    logits = policy.logits(outputs)
    assert logits.dtype == tf.float32
    assert logits.shape == (*sites_of(outputs, multilabel), K)
    assert policy.layout(outputs).num_classes == K
    assert policy.layout(outputs).multilabel is multilabel
    total = np.exp(tf.nn.log_softmax(logits).numpy().astype(np.float64)).sum(axis=-1)
    np.testing.assert_allclose(total, 1.0, atol=4 * EPSILON * K)


@every_policy
def test_predict_is_the_most_probable_label(policy, size, K, multilabel):
    outputs = outputs_for(size, 50)
    labels = policy.predict(outputs)
    assert labels.dtype == tf.int32
    probabilities = tf.nn.softmax(policy.logits(outputs)).numpy()
    chosen = np.take_along_axis(probabilities, labels.numpy()[..., None], axis=-1)[..., 0]
    np.testing.assert_array_equal(chosen, probabilities.max(axis=-1))
    np.testing.assert_array_equal(labels, policy.predict(tf.constant(outputs)))
    assert len(np.unique(labels)) > 1


@every_policy
def test_distribution_is_over_whole_label_sets(policy, size, K, multilabel):
    outputs = outputs_for(size, 6)
    distribution = policy.distribution(outputs)
    sites = sites_of(outputs, multilabel)
    assert distribution.event_shape == sites
    assert distribution.batch_shape == ()
    labels = np.random.default_rng(1).integers(0, K, sites).astype(np.int32)
    log_p = tf.nn.log_softmax(policy.logits(outputs)).numpy().astype(np.float64)
    expected = np.take_along_axis(log_p, labels[..., None], axis=-1).sum()
    actual = distribution.log_prob(labels)
    assert actual.shape == ()
    np.testing.assert_allclose(actual, expected, rtol=8 * EPSILON * np.prod(sites))


@every_policy
def test_samples_have_the_right_frequencies(policy, size, K, multilabel):
    outputs = outputs_for(size, 3)
    S = 20_000
    samples = policy.distribution(outputs).sample(S, seed=(3, 4))
    assert samples.shape == (S, *sites_of(outputs, multilabel))
    assert samples.dtype == tf.int32
    p = tf.nn.softmax(policy.logits(outputs)).numpy().astype(np.float64)
    frequency = tf.reduce_mean(tf.one_hot(samples, K), axis=0).numpy()
    # Five standard errors; one count more for the cells whose expected count is below one.
    assert np.all(np.abs(frequency - p) <= 5.0 * np.sqrt(p * (1.0 - p) / S) + 1.0 / S)


@pytest.mark.few(4)
@every_policy
@pytest.mark.parametrize(
    "jit_compile", [pytest.param(False, marks=pytest.mark.slow), True], ids=["graph", "xla"]
)
def test_graph_and_xla_agree_with_eager(policy, size, K, multilabel, jit_compile):
    outputs = outputs_for(size, 9, spread=4.0)
    y_true = np.arange(9) % 2.0
    if multilabel:
        y_true = np.stack([y_true] * size, axis=-1)

    def everything(outputs, y_true):
        value, gradient = value_and_gradient(policy.logits, outputs)
        return (
            value,
            gradient,
            policy.predict(outputs),
            policy.labels(y_true, outputs),
            policy.invalid_labels(y_true, outputs),
        )

    signature = [
        tf.TensorSpec([None, size], tf.float32),
        tf.TensorSpec([None, *y_true.shape[1:]], tf.float64),
    ]
    compiled = tf.function(
        everything, input_signature=signature, autograph=False, jit_compile=jit_compile
    )
    results = zip(everything(outputs, y_true), compiled(outputs, y_true), strict=True)
    for index, (eager, other) in enumerate(results):
        eager, other = eager.numpy(), other.numpy()
        if index < 2:
            scale = np.maximum(1.0, np.abs(eager).max(axis=-1, keepdims=True))
            np.testing.assert_allclose(other / scale, eager / scale, atol=64 * EPSILON)
        else:
            np.testing.assert_array_equal(other, eager)


@pytest.mark.few(33)
@every_policy
@pytest.mark.parametrize("extreme", [0.0, 30.0, -30.0, 1e4, -1e4])
def test_values_and_gradients_stay_finite(policy, size, K, multilabel, extreme):
    outputs = np.concatenate([np.full((4, size), extreme), extreme * np.eye(4, size)])
    value, gradient = value_and_gradient(policy.logits, outputs.astype(np.float32))
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(gradient))


@pytest.mark.few(5)
@every_policy
def test_gradient_is_that_of_finite_differences(policy, size, K, multilabel):
    # Central differences of float32 values: truncation h^2, rounding epsilon * |value| / h.
    outputs = outputs_for(size, 4, spread=0.7)
    _, gradient = value_and_gradient(policy.logits, outputs)

    def projected(outputs):
        value = policy.logits(outputs)
        weights = np.sin(np.arange(tf.size(value))).reshape(value.shape)
        return float((weights * tf.nn.log_softmax(value).numpy().astype(np.float64)).sum())

    step = 2.0**-6
    for index in np.ndindex(outputs.shape):
        up, down = outputs.copy(), outputs.copy()
        up[index] += step
        down[index] -= step
        slope = (projected(up) - projected(down)) / (2.0 * step)
        assert gradient.numpy()[index] == pytest.approx(slope, rel=0.01, abs=0.01)


@every_policy
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_other_float_types_are_cast(policy, size, K, multilabel, dtype):
    outputs = tf.cast(outputs_for(size, 5), dtype)
    np.testing.assert_array_equal(
        policy.logits(outputs), policy.logits(tf.cast(outputs, tf.float32))
    )


@every_policy
def test_config_json_pickle_and_equality(policy, size, K, multilabel):
    config = json.loads(json.dumps(policy.get_config()))
    for copy in (
        get_policy(config),
        type(policy).from_config(config),
        pickle.loads(pickle.dumps(policy)),
    ):
        assert copy == policy
        assert hash(copy) == hash(policy)
        assert copy.get_config() == policy.get_config()
    assert get_policy(policy) is policy
    with pytest.raises(AttributeError):
        policy.name = "other"


@every_policy
def test_truth_of_the_wrong_shape_is_refused(policy, size, K, multilabel):
    outputs = np.zeros((6, size), np.float32)
    for y_true in (np.zeros(5), np.zeros((6, 9)), np.zeros((3, 2, 2)), np.float32(1.0)):
        for method in (policy.labels, policy.invalid_labels):
            with pytest.raises(ValueError, match="does not fit outputs of shape") as error:
                method(y_true, outputs)
            assert str(y_true.shape).rstrip(",)") in str(error.value)
            assert f"(6, {size})" in str(error.value)


@every_policy
def test_text_labels_are_refused(policy, size, K, multilabel):
    with pytest.raises(ValueError, match=r"y_true must hold numbers, got dtype string.*LabelEnc"):
        policy.labels(np.array(["a", "b"]), np.zeros((2, size), np.float32))


@every_policy
def test_outputs_without_a_column_axis_are_refused(policy, size, K, multilabel):
    for method in (policy.logits, policy.predict, policy.layout):
        with pytest.raises(ValueError, match=r"outputs must have shape \[\*sites, columns\]"):
            method(np.zeros(6, np.float32))


whole_number_policies = pytest.mark.parametrize(
    ("policy", "size", "K", "multilabel"),
    [row for row in ALL_POLICIES if not isinstance(row.values[0], BinnedRegression)],
)


@whole_number_policies
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.float32, np.float64, np.bool_])
def test_whole_numbers_of_any_type_are_labels(policy, size, K, multilabel, dtype):
    outputs = np.zeros((12, size), np.float32)
    sites = sites_of(outputs, multilabel)
    truth = np.random.default_rng(5).integers(0, 2 if dtype is np.bool_ else K, sites)
    y_true = truth.astype(dtype)
    for shaped in (y_true, y_true[..., None]):
        labels = policy.labels(shaped, outputs)
        assert labels.dtype == tf.int32
        np.testing.assert_array_equal(labels, truth)
        invalid = policy.invalid_labels(shaped, outputs)
        assert invalid.shape == sites
        assert not np.any(invalid)


@whole_number_policies
def test_what_is_no_label_is_marked_and_kept_in_range(policy, size, K, multilabel):
    values = np.array([0.0, K - 1.0, -1.0, K, 0.5, np.nan, np.inf, -np.inf, -0.25, 1e30])
    expected = np.array([False, False] + [True] * 8)
    whole = np.array([0, K - 1, -1, K, 2**40, -(2**40), 255])
    cases = [(values, expected), (whole, np.array([False, False] + [True] * 5))]
    for y_true, marks in cases:
        outputs = np.zeros((len(y_true), size), np.float32)
        if multilabel:
            y_true, marks = (np.repeat(a[:, None], size, axis=1) for a in (y_true, marks))
        np.testing.assert_array_equal(policy.invalid_labels(y_true, outputs), marks)
        labels = policy.labels(y_true, outputs).numpy()
        assert labels.min() >= 0
        assert labels.max() < K


def test_softmax_reads_one_hot_rows():
    outputs = np.zeros((5, 3), np.float32)
    rows = np.array([[0, 0, 1], [0.2, 0.5, 0.3], [0, 0, 0], [np.nan, 1, 0], [-1, 2, 0]])
    np.testing.assert_array_equal(Softmax().labels(rows, outputs)[:2], [2, 1])
    np.testing.assert_array_equal(
        Softmax().invalid_labels(rows, outputs), [False, True, True, True, True]
    )


def test_dense_sites_take_channel_axis_or_none():
    outputs = outputs_for(3, 2, 4, 4)
    y_true = np.random.default_rng(0).integers(0, 3, (2, 4, 4))
    one_hot = np.eye(3)[y_true]
    for shaped in (y_true, y_true[..., None], one_hot):
        np.testing.assert_array_equal(Softmax().labels(shaped, outputs), y_true)


def test_softmax_with_one_column_names_the_way_out():
    for method in (Softmax().logits, Softmax().layout, Softmax().predict):
        with pytest.raises(ValueError, match=r'Dense\(2\).*policy="sigmoid"'):
            method(np.zeros((4, 1), np.float32))


def test_sigmoid_probability_is_the_logistic_function():
    z = np.linspace(-80.0, 80.0, 41, dtype=np.float32)
    log_p = tf.nn.log_softmax(Sigmoid().logits(z[:, None])).numpy()
    expected = -np.logaddexp(0.0, np.stack([z, -z], axis=-1).astype(np.float64))
    np.testing.assert_allclose(log_p, expected, rtol=4 * EPSILON, atol=EPSILON)


def test_binned_columns_must_fit_the_scale():
    with pytest.raises(ValueError, match=r"2 columns.*\(4, 1\).*Dense\(2\).*scale="):
        BinnedRegression(EDGES).logits(np.zeros((4, 1)))
    with pytest.raises(ValueError, match=r"1 column.*\(4, 2\).*Dense\(1\)"):
        BinnedRegression(EDGES, scale=1.0).logits(np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edges": []}, "edges must be at least one number"),
        ({"edges": [2.0, 1.0]}, "strictly increasing"),
        ({"edges": [1.0, 1.0]}, "strictly increasing"),
        ({"edges": [1.0, 1.0 + 1e-9]}, "strictly increasing in float32"),
        ({"edges": [1.0, float("nan")]}, r"edges\[1\] must be a finite number, got nan"),
        ({"edges": ["a"]}, r"edges\[0\] must be a finite number, got 'a'"),
        ({"edges": 35.0}, "edges must be a sequence of numbers, got 35.0"),
        ({"noise": "norml"}, "noise='norml' is not known; did you mean 'normal'"),
        ({"scale": 0.0}, "scale must be greater than 0, got 0.0"),
        ({"scale": "wide"}, "scale must be a finite number, got 'wide'"),
        ({"unit": -1.0}, "unit must be greater than 0, got -1.0"),
        ({"center": float("inf")}, "center must be a finite number, got inf"),
    ],
)
def test_binned_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        BinnedRegression(**{"edges": EDGES, **arguments})


def test_binned_location_and_labels_are_in_target_units():
    policy = BinnedRegression(np.array(EDGES, np.float32), scale=5, center=80, unit=60)
    outputs = np.array([[-1.0], [0.0], [3.0]], np.float32)
    np.testing.assert_array_equal(policy.location(outputs), [20.0, 80.0, 260.0])
    np.testing.assert_array_equal(policy.predict(outputs), [0, 2, 5])
    np.testing.assert_array_equal(policy.predict(outputs), policy.level_of([20.0, 80.0, 260.0]))
    y_true = np.array([[35.0], [np.nan], [np.inf]])
    np.testing.assert_array_equal(policy.invalid_labels(y_true, outputs), [False, True, True])
    assert policy.labels(y_true, outputs)[0] == 0


def test_values_without_a_logarithm_are_no_targets():
    policy = BinnedRegression(EDGES, scale=5, center=4.0, logarithm=True)
    # In float32 -1 + 1e-9 is -1.
    y_true = np.array([-0.5, -1.0, -1.0 + 1e-9, -999.0, np.nan, np.inf])
    outputs = np.zeros([6, 1], np.float32)
    for invalid in (policy.invalid_labels(y_true, outputs), policy.invalid_values(y_true)):
        np.testing.assert_array_equal(invalid, [False, True, True, True, True, True])
    np.testing.assert_array_equal(np.isnan(policy.outputs_at(y_true[:4])), invalid[:4])
    plain = BinnedRegression(EDGES).invalid_values(np.array([-999.0, -1e39]))
    np.testing.assert_array_equal(plain, [False, True])


@given(
    edges=st.lists(st.integers(-100, 100), min_size=1, max_size=8, unique=True).map(sorted),
    values=st.lists(st.integers(-110, 110), min_size=1, max_size=20),
)
@settings(deadline=None, max_examples=50)
def test_level_is_the_number_of_edges_below(edges, values):
    levels = BinnedRegression(edges).level_of(np.array(values, np.float32))
    assert levels.numpy().tolist() == [sum(edge < value for edge in edges) for value in values]


def test_get_policy_errors():
    with pytest.raises(ValueError, match="policy='sofmax' is not known; did you mean 'softmax'"):
        get_policy("sofmax")
    with pytest.raises(ValueError, match=r"'binned_regression' needs edges.*BinnedRegression\(edg"):
        get_policy("binned_regression")
    with pytest.raises(ValueError, match=r"policy\['name'\]=None is not known"):
        get_policy({"link": "normal"})
    with pytest.raises(ValueError, match="did you mean 'link'"):
        get_policy({"name": "cumulative_link", "lnk": "normal"})
    with pytest.raises(ValueError, match="must be 'softmax' for Softmax, got 'sigmoid'"):
        Softmax.from_config(Sigmoid().get_config())
    with pytest.raises(TypeError, match=r"policy must be a name .* got 3"):
        get_policy(3)
    assert get_policy("cumulative_link") == CumulativeLink("logistic")


def test_policy_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Policy()


@pytest.mark.slow
def test_tfp_is_imported_late_and_without_warnings():
    code = (
        "import sys, numpy as np, policygrad_metrics.policies as p\n"
        "assert 'tensorflow_probability' not in sys.modules\n"
        "d = p.Softmax().distribution(np.zeros((3, 2), 'float32'))\n"
        "assert abs(float(d.log_prob([0, 1, 1])) + 3 * np.log(2)) < 1e-6\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_a_mixture_is_the_mean_of_its_members_probabilities():
    outputs = outputs_for(8, 6)
    halves = [tf.nn.sigmoid(outputs[:, :4]).numpy(), tf.nn.sigmoid(outputs[:, 4:]).numpy()]
    found = tf.nn.softmax(Mixture(Sigmoid(), 2).logits(outputs)).numpy()
    np.testing.assert_allclose(found[..., 1], np.mean(halves, axis=0), rtol=1e-5)
    values = BinnedRegression(EDGES, scale=1.0, logarithm=True, center=3.0)
    mixture = Mixture(values, 2)
    np.testing.assert_allclose(
        mixture.location(outputs[:, :2]), np.expm1(3.0 + outputs[:, :2]).mean(axis=1), rtol=1e-5
    )
    assert mixture.on_scale("korea").layout(outputs[:, :2]).num_classes == 4


def test_what_a_mixture_refuses():
    with pytest.raises(ValueError, match="members must be a whole number, 1 or more; it is 0"):
        Mixture(Softmax(), 0)
    with pytest.raises(ValueError, match=r"each of its 2 members, got shape \(4, 5\)"):
        Mixture(Softmax(), 2).logits(np.zeros((4, 5)))
