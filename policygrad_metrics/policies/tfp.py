"""The one door to TensorFlow Probability, opened at first use.

Importing it costs about a second on top of TensorFlow's, and its start-up compares versions with
classes that Python has deprecated. Both stay behind these functions.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any


def distributions() -> Any:
    """Return the module `tensorflow_probability.distributions`.

    >>> distributions().Categorical(probs=[0.5, 0.5]).event_shape.rank
    0
    """
    return _library().distributions


def math() -> Any:
    """Return the module `tensorflow_probability.math`.

    >>> round(float(math().erfcx(0.0)), 6)
    1.0
    """
    return _library().math


@functools.cache
def _library() -> Any:
    with warnings.catch_warnings():
        # `distutils Version classes are deprecated` and its like come from the import alone: a
        # program that runs with warnings as errors must still be able to load the library.
        warnings.simplefilter("ignore")
        import tensorflow_probability as tfp

        # The library loads its parts at their first attribute access: do it in here.
        _ = tfp.distributions.Categorical, tfp.math.erfcx
    return tfp
