"""Private parts of TensorFlow and Keras that have no public twin: all of them, and only here.

Seen to work with TensorFlow 2.21 and Keras 3.15. `tests/test_compat.py` has a test of each.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.python.ops import control_flow_util
from tensorflow.python.ops.control_flow_v2_func_graphs import CondBranchFuncGraph

from policygrad_metrics.core.batch import Tensor


def under_xla() -> bool:
    """Whether the code being traced will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(graph)


def materialized(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same tensors; XLA computes each once, instead of again wherever it is read."""
    if not under_xla():
        return tensors
    barrier: Any = xla.optimization_barrier
    return tuple(barrier(*tensors))


def in_several_steps() -> bool:
    """Whether this is traced as Keras's training step inside Keras's loop over several of them."""
    graph: Any = tf.compat.v1.get_default_graph()
    outer = getattr(graph, "outer_graph", None)
    step = str(getattr(graph, "name", "")).startswith("one_step_on_data")
    return step and isinstance(outer, CondBranchFuncGraph)


def ends_with_activation(outputs: Tensor) -> bool:
    """Whether a layer's softmax or sigmoid made these outputs: Keras leaves its logits on them."""
    return hasattr(outputs, "_keras_logits")


def start_at_epoch(model: Any, epoch: int | None) -> None:
    """Let the model's `fit` begin with this epoch, or with its own `initial_epoch` for None.

    Keras says of this place that it "can be set by callbacks".
    """
    model._initial_epoch = epoch
