"""The table of methods: name -> how its loss is built, or which model it is.

Read `base.py` (what a method is) and `registry.py` (the table, and the hyper-parameters of trials);
the rows are in `surrogate_methods.py`, `gradient_methods.py`, `relaxed_methods.py`,
`keras_methods.py`, `level_methods.py`, `ranking_methods.py`, `sklearn_methods.py` and
`boosting_methods.py`.

To add a method, add its row to the `ROWS` of one of these files.
"""

from policygrad_metrics.study.methods.base import (
    LEARNING_RATE,
    TASKS,
    Choice,
    Loss,
    Method,
    TaskInfo,
)
from policygrad_metrics.study.methods.registry import (
    LEARNING_RATE_SCALE,
    METHODS,
    get_method,
    search_ranges,
    trial_hyperparameters,
)

__all__ = [
    "LEARNING_RATE",
    "LEARNING_RATE_SCALE",
    "METHODS",
    "TASKS",
    "Choice",
    "Loss",
    "Method",
    "TaskInfo",
    "get_method",
    "search_ranges",
    "trial_hyperparameters",
]
