"""Rewards: what a label set is worth against the truth.

Read `base.py` (what a reward is), `bound.py` (what estimators see of it), then a family:
`ratios.py`, `levels.py`, `counts.py`. `registry.py` holds the names.
Names are imported when first used: processes that call a Python reward do without TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
