"""What all callbacks share."""

from __future__ import annotations

from typing import Any

import keras

from policygrad_metrics.core._compat import is_keras_2
from policygrad_metrics.losses.base import refuse_keras_2


class Callback(keras.callbacks.Callback):
    """A Keras callback that refuses models of tf_keras, the former Keras."""

    def set_model(self, model: Any) -> None:
        """Take the model that is about to be trained."""
        refuse_keras_2(type(self).__name__, is_keras_2(model))
        super().set_model(model)
