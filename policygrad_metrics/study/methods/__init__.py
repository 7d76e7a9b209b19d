"""The table of methods: name -> how its loss is built, or which model it is.

Here are the table, and the hyper-parameters of trials; `base.py` says what a method is, and the
rows are in `surrogate_methods.py`, `gradient_methods.py`, `relaxed_methods.py`,
`keras_methods.py`, `level_methods.py`, `ranking_methods.py`, `sklearn_methods.py` and
`boosting_methods.py`.

To add a method, add its row to the `ROWS` of one of these files.
"""

import hashlib

import numpy as np

from policygrad_metrics.core.checks import check_whole, choose
from policygrad_metrics.study.methods import (
    boosting_methods,
    gradient_methods,
    keras_methods,
    level_methods,
    libauc_methods,
    ranking_methods,
    relaxed_methods,
    sklearn_methods,
    surrogate_methods,
)
from policygrad_metrics.study.methods.base import (
    LEARNING_RATE,
    TASKS,
    Choice,
    Loss,
    Method,
    TaskInfo,
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

METHODS: dict[str, Method] = {
    row.name: row
    for file in (
        sklearn_methods,
        boosting_methods,
        surrogate_methods,
        gradient_methods,
        relaxed_methods,
        keras_methods,
        level_methods,
        ranking_methods,
        libauc_methods,
    )
    for row in file.ROWS
}


def get_method(method: str | Method) -> Method:
    """Return the method of a name, or the method itself.

    Raises:
        ValueError: the name is not known; the nearest known one is offered.

    >>> get_method("focal").summary
    'cross-entropy that looks away from what is already right'
    >>> get_method("policy_gradiant")
    Traceback (most recent call last):
    ValueError: method='policy_gradiant' is not known; did you mean 'policy_gradient'? ...
    """
    return method if isinstance(method, Method) else METHODS[choose("method", method, METHODS)]


#: Every network's learning rate is searched alike: a factor on the study's learning rate.
LEARNING_RATE_SCALE = Choice(1.0, 0.1, 10.0, log=True)


def search_ranges(method: str | Method) -> dict[str, Choice]:
    """Return what the trials of a method vary: its own hyper-parameters, and the learning rate.

    >>> sorted(search_ranges("focal"))
    ['gamma', 'learning_rate_scale']
    """
    row = get_method(method)
    ranges = dict(row.hyperparameters)
    return {**ranges, LEARNING_RATE: LEARNING_RATE_SCALE} if row.trains_network else ranges


def trial_hyperparameters(study_seed: int, method: str | Method, trial: int) -> dict[str, float]:
    """Return the hyper-parameters of one trial.

    Trial 0 has the defaults; the others are drawn from the fixed ranges (random search: Bergstra,
    Bengio 2012), each number from its own stream, keyed by SHA-256 of (study seed, method, trial,
    name). Nothing else matters: not the order of calls, nor other methods or hyper-parameters.

    Args:
        study_seed: whole number.
        method: a method or its name.
        trial: whole number, 0 or more.

    Returns:
        name -> value; for networks with "learning_rate_scale", the factor on the learning rate.

    Raises:
        ValueError: the method is not known, or a number is no whole number.

    >>> trial_hyperparameters(0, "focal", 0)
    {'gamma': 2.0, 'learning_rate_scale': 1.0}
    >>> trial_hyperparameters(0, "focal", 7) == trial_hyperparameters(0, "focal", 7)
    True
    """
    check_whole("study_seed", study_seed, 0)
    check_whole("trial", trial, 0)
    row = get_method(method)
    choices = search_ranges(row)
    if trial == 0:
        return {name: choice.default for name, choice in choices.items()}
    return {
        name: choice.at(_share(int(study_seed), row.name, int(trial), name))
        for name, choice in choices.items()
    }


def _share(*key: int | str) -> float:
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return float(np.random.default_rng(np.random.SeedSequence(words)).random())
