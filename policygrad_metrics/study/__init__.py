"""The comparison of methods: fair, resumable, reported.

Reading order: `settings.py` (what is asked), `plan.py` (what is trained), `train.py` and
`evaluate.py` (a run), `runs.py` (runs on disk), `table.py` and `overall.py` (summed up, on a data
set and over them), `verdict.py` (in words), `content.py` with `report.py` and `plots.py`
(reported), `comparison.py` with `workers.py` and `processes.py` (all of it in order).

Names are imported when first used: settings and reports must be had without TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
