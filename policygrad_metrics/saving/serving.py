"""A model together with its decision: in TensorFlow's operations, as a layer, and for serving.

The decisions are those of `decision/rules.py`, which is written in numpy so that it can be used
without a network. Probabilities are compared in float64 here too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core._compat import input_structure
from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.decision import DecisionTuner, Rule, rules
from policygrad_metrics.losses.outputs import final_activation, model_policy
from policygrad_metrics.policies import BinnedRegression, Policy, get_policy, member_policy
from policygrad_metrics.policies.reading import logits_of_probabilities


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class DecisionLayer(keras.layers.Layer):
    """From a network's outputs to labels and probabilities.

    A last layer for a model that is to be served or saved with its decision. It has no weights
    and no gradient: add it after training.

    Args:
        policy: how the outputs are read: "softmax", "sigmoid", "cumulative_link", or a `Policy`.
        decision: None (the most probable label), a fitted `DecisionTuner`, or its `rule_`.
        from_logits: False if the outputs are probabilities already.

    Returns:
        A dict of "labels", int32 `[*sites]`; "probabilities", float32 `[*sites, K]`, for label
        columns `[B, L]`; with `BinnedRegression` also "location", in the target's units.

    Raises:
        ValueError: the decision does not fit the outputs.
        TypeError: the decision is not fitted, or needs the whole set that it labels.

    >>> import keras
    >>> from policygrad_metrics.saving import DecisionLayer
    >>> network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    >>> served = keras.Sequential([network, DecisionLayer("softmax")])
    >>> served(keras.ops.zeros((1, 2)))["labels"].numpy().tolist()
    [0]
    """

    def __init__(
        self,
        policy: str | Policy,
        decision: DecisionTuner | Rule | None = None,
        from_logits: bool = True,
        **options: Any,
    ):
        super().__init__(trainable=False, **options)
        self.policy = get_policy(policy)
        self.rule = _rule(decision)
        self.from_logits = from_logits

    def call(self, outputs: Any) -> Any:
        """Labels and probabilities of a batch of outputs."""
        location = {}
        if isinstance(member_policy(self.policy), BinnedRegression):
            reads: Any = self.policy
            location = {"location": reads.location(outputs)}
        if not self.from_logits:
            outputs = logits_of_probabilities(self.policy, outputs)
        probabilities: Tensor = tf.nn.softmax(self.policy.logits(outputs))
        columns = probabilities.shape[-2] if self.policy.layout(outputs).multilabel else 1
        K = probabilities.shape[-1]
        self._check_fit(columns, K)
        labels = decide_in_graph(self.rule, tf.reshape(probabilities, [-1, columns, K]))
        labels = tf.reshape(labels, tf.shape(probabilities)[:-1])
        if columns > 1:
            probabilities = probabilities[..., 1]
        return {"labels": labels, "probabilities": probabilities, **location}

    def _check_fit(self, columns, K):
        found = {
            "thresholds": (columns, "label columns"),
            "weights": (K, "classes"),
            "cuts": (K - 1, "steps between levels"),
            "gains": (columns, "label columns"),
        }
        for field, values in vars(self.rule).items():
            expected, what = found[field]
            if len(values) != expected:
                raise ValueError(
                    f"the decision ({self.rule.describe()}) was tuned for {len(values)} {what}; "
                    f"the outputs have {expected}. Tune it on this model's probabilities."
                )
        if isinstance(self.rule, rules.Thresholds) and K != 2:
            raise ValueError(f"thresholds decide between two classes; the outputs have {K}.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        decision = rules.rule_record(self.rule)
        config = {**super().get_config(), "policy": self.policy.get_config(), "decision": decision}
        del config["trainable"]
        return {**config, "from_logits": self.from_logits}


def _rule(decision: Any) -> Rule:
    if decision is None:
        return rules.ArgMax()
    if isinstance(decision, DecisionTuner):
        decision = getattr(decision, "rule_", decision)
    if isinstance(decision, dict):
        return rules.read_rule(decision)
    if not isinstance(decision, Rule):
        raise TypeError(
            f"decision must be None, a DecisionTuner after fit, or its rule_; it is {decision!r}."
        )
    if isinstance(decision, rules.ExpectedF):
        decide_in_graph(decision, tf.zeros([1, 1, 2]))  # says why not
    return decision


def export_decision(
    model: keras.Model,
    path: str | Path,
    *,
    policy: str | Policy = "auto",
    decision: DecisionTuner | Rule | None = None,
    from_logits: bool | None = None,
    input_signature: Any = None,
    verbose: bool = False,
) -> None:
    """Export a model as a TensorFlow SavedModel that answers with labels and probabilities.

    The folder is self-contained: after `served = tf.saved_model.load(path)` both `served.serve(x)`
    and TensorFlow Serving (signature "serving_default") need neither this package nor Keras. What
    they return is that of `DecisionLayer`.

    Args:
        model: built or called before; one output.
        path: the folder to write.
        policy: "auto" takes that of the model's compiled loss, else sigmoid for one output
            column and softmax for several; name it for label columns.
        decision: None (the most probable label), a fitted `DecisionTuner`, or its `rule_`.
        from_logits: None looks at the last layer: softmax or sigmoid there means False.
        input_signature: a list of one `tf.TensorSpec` (or nested `tf.TensorSpec`s, if the model
            takes several inputs); None takes the model's own, any batch size.
        verbose: whether Keras reports the endpoint on the standard output.

    Raises:
        ValueError: the model is not built and no signature is given, has several outputs, or the
            decision does not fit them.

    >>> import keras, tempfile, tensorflow as tf, policygrad_metrics as pgm
    >>> model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pgm.export_decision(model, folder)
    ...     served = tf.saved_model.load(folder)
    >>> served.serve(tf.zeros([3, 2]))["labels"].numpy().tolist()
    [0, 0, 0]
    """
    signature = _signature(model) if input_signature is None else input_signature
    outputs = model(_example(*signature), training=False)
    if from_logits is None:
        from_logits = final_activation(model) is None
    layer = DecisionLayer(model_policy(policy, model, None, outputs), decision, from_logits)
    layer(outputs)  # says in Python what does not fit

    def serve(inputs):
        return layer(model(inputs, training=False))

    archive: Any = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve, input_signature=signature)
    archive.write_out(str(path), verbose=verbose)


def _signature(model):
    inputs = getattr(model, "inputs", None)  # a subclassed model has none
    if not inputs:
        raise ValueError(
            f"the inputs of model {model.name!r} are not known (it is subclassed, or not built "
            "yet): give input_signature=[tf.TensorSpec((None, ...), tf.float32)]."
        )
    structure = inputs[0] if len(inputs) == 1 else input_structure(model)
    return [
        keras.tree.map_structure(
            lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype, name=x.name), structure
        )
    ]


def _example(spec):
    return tf.nest.map_structure(
        lambda one: tf.zeros([size or 1 for size in one.shape], one.dtype), spec
    )


def decide_in_graph(rule: Rule, probabilities: Tensor) -> Tensor:
    """Return int32 labels `[N, C]` for probabilities `[N, C, K]`.

    Raises:
        TypeError: the rule reads the whole set at hand (`ExpectedF`), or is not known.

    >>> decide_in_graph(rules.Thresholds((0.3,)), tf.constant([[[0.6, 0.4]]])).numpy().tolist()
    [[1]]
    """
    p = tf.cast(probabilities, tf.float64)
    if isinstance(rule, rules.ArgMax):
        scores = p
    elif isinstance(rule, rules.Thresholds):
        return tf.cast(p[..., 1] > tf.constant(rule.thresholds, tf.float64), tf.int32)
    elif isinstance(rule, rules.Offsets):
        # Of float64 ONNX Runtime has no maximum as tf2onnx writes it, but a minimum.
        largest = -tf.reduce_min(-p, axis=-1, keepdims=True)
        shares = tf.where(largest > 0.0, p / tf.where(largest > 0.0, largest, 1.0), 1.0)
        scores = tf.maximum(shares, rules.FLOOR) * tf.constant(rule.weights, tf.float64)
    elif isinstance(rule, rules.CutPoints):
        level = tf.linalg.matvec(p, tf.range(p.shape[-1], dtype=tf.float64))
        below = tf.constant(rule.cuts, tf.float64) < level[..., None]
        return tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
    elif isinstance(rule, rules.PluginGain):
        scores = tf.einsum("nci,cij->ncj", p, tf.constant(rule.gains, tf.float64))
    elif isinstance(rule, rules.ExpectedF):
        raise TypeError(
            "the rule of DecisionTuner(method='expected_f') depends on the whole set that it "
            "labels, and a served request is no such set. Use method='threshold'."
        )
    else:
        raise TypeError(f"decision must be a rule of policygrad_metrics.decision; it is {rule!r}.")
    return tf.argmax(scores, axis=-1, output_type=tf.int32)
