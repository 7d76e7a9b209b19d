"""Train Keras networks on the metric itself: F1, accuracy, kappa, the right AQI level.

`__init__.pyi` lists the public names. They are imported when first used, so that
`import policygrad_metrics` costs nothing and the command line answers at once.
"""

import sys

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

if "keras" in sys.modules:
    # Where Keras has been imported, `keras.models.load_model` is to find this package's classes.
    import policygrad_metrics.saving  # noqa: F401
