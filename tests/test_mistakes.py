"""Small mistakes that people make, and what they are told: what is wrong, and the way out."""

import warnings

import keras
import numpy as np
import pytest
import sklearn.metrics
from classifier_toys import cancer_rows, iris_rows, quick
from regressor_toys import quick_levels
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError

import policygrad_metrics as pgm

X, Y = iris_rows()


def network(columns=3, activation=None):
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(columns, activation)]
    return keras.Sequential([keras.layers.Input((4,)), *layers])


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("columns", "activation", "reward", "message"),
    [
        (3, "softmax", "f1_macro", r"applied a second time.* activation out: Dense\(3\)"),
        (1, "sigmoid", "f1", r"above 0 would be a positive.* activation out: Dense\(1\)"),
    ],
)
def test_an_activation_at_the_end_is_noticed(columns, activation, reward, message):
    model = network(columns, activation)
    model.compile("sgd", pgm.PolicyGradientLoss(reward))
    with pytest.warns(UserWarning, match=message):
        model.train_on_batch(X, Y == 0 if columns == 1 else Y)


@pytest.mark.slow
def test_decisions_of_probabilities_are_those_of_logits():
    """Cross-entropy trains a softmax at the end, and the metric may watch."""
    model = network(3, "softmax")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[pgm.RewardMetric("accuracy")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watched = model.evaluate(X, Y, verbose=0)[1]
    assert watched == pytest.approx((model.predict(X, verbose=0).argmax(1) == Y).mean())
    model = network(1, "sigmoid")
    model.compile("sgd", "binary_crossentropy", metrics=[pgm.RewardMetric("f1")])
    with pytest.warns(UserWarning, match="every probability above 0"):
        model.evaluate(X, Y == 0, verbose=0)


def f1_of_a_scorer():
    return pgm.PolicyGradientLoss(sklearn.metrics.get_scorer("f1"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (f1_of_a_scorer, TypeError, r"scikit-learn scorer.* sklearn.metrics.f1_score"),
        (lambda: pgm.PolicyGradientLoss(keras.metrics.F1Score()), TypeError, "a Keras metric"),
        (
            lambda: pgm.PolicyGradientLoss("f1", cross_entropy="auto"),
            ValueError,
            "cross_entropy must be a finite number, 0 or more; it is 'auto'",
        ),
        (
            lambda: pgm.PolicyGradientLoss("f1", log_likelihood=None),
            ValueError,
            "log_likelihood must be a finite number",
        ),
    ],
)
def test_mistakes_in_a_loss(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("seed", [None, 1.5, "one"])
def test_mistakes_in_a_seed(seed):
    loss = pgm.PolicyGradientLoss("f1", gradient_estimator="reinforce", seed=seed)
    with pytest.raises(ValueError, match="seed must be an int, or two int32 numbers; it is"):
        loss([0, 1], np.zeros([2, 1], np.float32))


def test_mistakes_in_shapes():
    loss = pgm.PolicyGradientLoss("f1")
    with pytest.raises(ValueError, match="end the network with a layer like Dense, or add an axis"):
        loss([0, 1], np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="y_true is None: the loss needs the truth"):
        loss(None, np.zeros([2, 1], np.float32))


def test_mistakes_in_fine_tuning():
    with pytest.raises(ValueError, match=r"same number of examples.*hold \[146, 150\]"):
        pgm.finetune(network(), X, Y[:-4], reward="f1_macro")
    with pytest.raises(TypeError, match=r"model must be a keras.Model; it is str"):
        pgm.finetune("model.keras", X, Y, reward="f1_macro")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"warm_start": "no"}, "warm_start must be True or False; it is 'no'"),
        ({"early_stopping": 1}, "early_stopping must be True or False; it is 1"),
        ({"tune_decision": "f1"}, "tune_decision must be True or False"),
        ({"verbose": "loud"}, "verbose must be a whole number, 0 or more; it is 'loud'"),
        ({"class_weight": "balance"}, '"balanced" or a dict of weights by class; it is \'balance'),
        ({"class_weight": [1, 2, 3]}, r"a dict of weights by class; it is \[1, 2, 3\]"),
        ({"class_weight": {"ill": 1, "wel": 2}}, r"\['wel'\].* none of the classes \['ill', 'wel"),
        ({"class_weight": {"ill": -1.0}}, r"class_weight\['ill'\] must be a number not negative"),
    ],
)
def test_mistakes_in_arguments_of_the_classifier(arguments, message):
    with pytest.raises(ValueError, match=message):
        quick(**arguments).fit(*cancer_rows())


def test_mistakes_in_label_columns():
    features, columns = make_multilabel_classification(40, 4, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match=r"0/1 indicators .* it holds \[-1, 1\]"):
        quick().fit(features, 2 * columns - 1)
    with pytest.raises(ValueError, match="a list of 3 dicts by class 0 and 1"):
        quick(class_weight={0: 1.0, 1: 5.0}).fit(features, columns)


def test_sets_of_labels():
    with pytest.raises(ValueError, match=r"one length; .*MultiLabelBinarizer"):
        quick().fit(X, [[0, 1], [1]] * 75)


def test_text_among_the_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X).assign(site=pandas.Categorical(np.where(Y == 0, "left", "right")))
    frame.columns = frame.columns.astype(str)
    message = "X must hold numbers; could not convert string to float: 'left'.* OneHotEncoder"
    with pytest.raises(ValueError, match=message):
        quick().fit(frame, Y)
    for kind, message in (("U4", "y must hold numbers, values"), (object, "X and y must hold num")):
        with pytest.raises(ValueError, match=message):
            quick_levels().fit(X, np.where(Y == 0, "good", "bad").astype(kind))


def test_a_fit_on_too_few_classes_and_none_at_all():
    with pytest.raises(ValueError, match=r"it holds one class, 0\. A reward"):
        quick().fit(X, np.zeros(len(X), int))
    with pytest.raises(NotFittedError, match="not fitted yet"):
        _ = quick().classes_
    model = quick(epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"classes \[3\], which are none .* Fit on rows of all"):
        model.reward_score(X, Y + 1)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda y_true, y_pred: None, ValueError, "must return one number per call; it returned"),
        (lambda y_true: 0.5, RuntimeError, r"raised TypeError: .* were given\. It was called"),
        (
            lambda y_true, y_pred: float("nan"),
            ValueError,
            "return a finite number; it returned nan",
        ),
    ],
)
def test_mistakes_in_a_function_of_ones_own(function, error, message):
    """The function's own error, and nothing of TensorFlow's graph."""
    with pytest.raises(error, match=message) as raised:
        quick(function, epochs=1, batch_size=50).fit(X, Y)
    assert "graph" not in str(raised.value).lower()
