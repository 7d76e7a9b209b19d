"""Private parts of TensorFlow and Keras that have no public twin: all of them, and only here.

Seen to work with TensorFlow 2.21 and Keras 3.15. `tests/core/test_compat.py` has a test of each.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import keras
import tensorflow as tf
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics
from tensorflow.python.ops import control_flow_util
from tensorflow.python.ops.control_flow_v2_func_graphs import CondBranchFuncGraph

from policygrad_metrics.core.batch import Tensor


def under_xla() -> bool:
    """Whether the code being traced will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(graph)


def in_vectorized_map() -> bool:
    """Whether `tf.vectorized_map` traces this code, as it does networks that train side by side.

    It cannot vectorise a condition with an error in it, nor can XLA compile what it makes of a loop
    whose length depends on values.
    """
    return "loop_body" in tf.get_current_name_scope().split("/")


def materialized(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same tensors, which XLA computes once each, instead of again wherever one is read.

    XLA on a CPU takes barriers away before it merges operations. It does not merge matrix products:
    each tensor is multiplied by an identity matrix of its last few numbers.
    """
    return tuple(map(_multiplied, tensors))


def _multiplied(x):
    size = x.shape.num_elements()
    width = math.gcd(size, 8) if size else 1
    if width == 1 or x.dtype != tf.float32:
        return x
    return tf.reshape(tf.reshape(x, [-1, width]) @ tf.eye(width), x.shape)


def in_several_steps() -> bool:
    """Whether this is traced as Keras's training step inside Keras's loop over several of them."""
    graph: Any = tf.compat.v1.get_default_graph()
    outer = getattr(graph, "outer_graph", None)
    step = str(getattr(graph, "name", "")).startswith("one_step_on_data")
    return step and isinstance(outer, CondBranchFuncGraph)


#: Where a layer leaves the mask of its outputs.
MASK = "_keras_mask"
#: Operations that hand probabilities on, as those of one input or as a mean of several.
_PASS_ON = {
    *("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Cast", "Transpose"),
    *("StridedSlice", "GatherV2", "Pack", "ConcatV2", "AddV2", "AddN", "Mul", "RealDiv", "Mean"),
    *("ClipByValue", "Minimum", "Maximum"),
}
#: How many operations are followed backwards.
_FAR = 12


def ends_with_activation(outputs: Tensor) -> bool:
    """Whether a softmax or a sigmoid made these outputs, or outputs that they are made of.

    Keras leaves the logits on what its activations return. In a graph the operations are followed
    backwards, through reshaping, slicing, averaging and clipping.
    """
    if hasattr(outputs, "_keras_logits"):
        return True
    return not tf.executing_eagerly() and _are_probabilities(outputs, _FAR)


def _are_probabilities(tensor, far):
    operation = tensor.op
    if operation.type in ("Softmax", "Sigmoid"):
        return True
    if operation.type not in _PASS_ON or far == 0:
        return False
    values = [x for x in operation.inputs if x.dtype.is_floating and x.op.type != "Const"]
    return bool(values) and all(_are_probabilities(x, far - 1) for x in values)


def called_by_keras_2() -> bool:
    """Whether tf_keras, the former Keras, is calling: its modules are on the stack."""
    frame = sys._getframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("tf_keras."):
            return True
        frame = frame.f_back
    return False


def places_in_compile(member: Any) -> int:
    """How many places a loss or metric has in the compiled model that is calling; 0 without one."""
    frame = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, CompileLoss):
            return sum(place.loss is member for place in owner._flat_losses or ())
        if isinstance(owner, CompileMetrics):
            lists = (*owner._flat_metrics, *owner._flat_weighted_metrics)
            return sum(x is member for each in lists if each for x in each.metrics)
        frame = frame.f_back
    return 0


def is_keras_2(model: Any) -> bool:
    """Whether a model is one of tf_keras."""
    return any(kind.__module__.startswith("tf_keras.") for kind in type(model).__mro__)


def input_structure(model: Any) -> Any:
    """The model's inputs as it takes them: a tensor, or a list or dictionary of tensors."""
    return getattr(model, "_inputs_struct", model.inputs)


def start_at_epoch(model: Any, epoch: int | None) -> None:
    """Let the model's `fit` begin with this epoch, or with its own `initial_epoch` for None.

    Keras says of this place that it "can be set by callbacks".
    """
    model._initial_epoch = epoch


def own_strategy(model: keras.Model) -> Any:
    """The `tf.distribute` strategy that a model was made under; None without one."""
    return model._distribute_strategy


def has_several_workers(strategy: Any) -> bool:
    """Whether a strategy spreads its replicas over processes."""
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and strategy.extended._in_multi_worker_mode()
    )


class BuiltByOneWorker(keras.Model):
    """A model that is built from a worker's own part of the first batch.

    Keras averages the batch over the workers to build from, which unequal shares do not allow.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        strategy = own_strategy(self)
        if iterator is None or not has_several_workers(strategy):
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)
            return
        for _, _, batches in iterator:
            data_batch = keras.tree.map_structure(
                lambda x: strategy.experimental_local_results(x)[0], next(batches)
            )
            break
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)


def without_variables(kind: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """The same kind of optimizer, whose `stateless_apply` works with TensorFlow.

    Keras refuses it there because the part of an optimizer that is for TensorFlow updates
    variables in place, for `tf.distribute`. The part for every backend does not. So what the first
    overrides is put back to what the second has.
    """
    for_tensorflow, for_all = keras.optimizers.Optimizer.__bases__
    overridden = {
        name: vars(for_all)[name]
        for name in vars(for_tensorflow)
        if name in vars(for_all) and not name.startswith("__")
    }
    return type(kind.__name__, (kind,), overridden)
