"""Private parts of TensorFlow and Keras that have no public twin: all of them, and only here.

Seen to work with TensorFlow 2.21 and Keras 3.13 to 3.15; `tests/test_compat.py` has a test of each.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.python.ops import control_flow_util

from policygrad_metrics.core.sites import Tensor


def under_xla() -> bool:
    """Whether the code being traced will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(graph)


def materialized(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same tensors; XLA computes each once, instead of again wherever it is read."""
    if not under_xla():
        return tensors
    return tuple(xla.optimization_barrier(*tensors))
