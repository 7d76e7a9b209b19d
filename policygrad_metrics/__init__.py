"""Train Keras networks on the metric itself: F1, accuracy, kappa, the right AQI level.

`__init__.pyi` lists the public names. They are imported when first used, so that
`import policygrad_metrics` costs nothing and the command line answers at once.
"""

import importlib
import sys
from importlib.machinery import PathFinder

import lazy_loader

__version__ = "0.1.0"

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name):
    value = _attribute(name)
    _register()
    return value


def _register():
    """Let `keras.models.load_model` find this package's classes, where Keras has been imported."""
    registers = f"{__name__}.saving"
    if "keras" not in sys.modules or registers in sys.modules:
        return
    ours = [module for name, module in sys.modules.items() if name.startswith(f"{__name__}.")]
    # A module of ours that imports Keras itself is half-way through and cannot be imported again.
    if not any(getattr(module.__spec__, "_initializing", False) for module in ours):
        importlib.import_module(registers)


class _AfterKeras:
    """A finder that waits for `import keras`, registers the classes after it, and is gone."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "keras":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module):
                load(module)
                if cls in sys.meta_path:
                    sys.meta_path.remove(cls)
                _register()

            spec.loader.exec_module = load_and_register
        return spec


if "keras" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _AfterKeras)
