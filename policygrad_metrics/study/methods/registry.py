"""The methods by name."""

from __future__ import annotations

from policygrad_metrics.core.checks import choose
from policygrad_metrics.study.methods import (
    gradient_methods,
    keras_methods,
    level_methods,
    relaxed_methods,
    sklearn_methods,
    surrogate_methods,
)
from policygrad_metrics.study.methods.base import TASKS, Method

METHODS: dict[str, Method] = {
    row.name: row
    for file in (
        sklearn_methods,
        surrogate_methods,
        gradient_methods,
        relaxed_methods,
        keras_methods,
        level_methods,
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


def methods_for(task: str) -> list[str]:
    """Return the names of the methods that suit a task, in the order of the table.

    Raises:
        ValueError: the task is not known.

    >>> methods_for("binary")[:2]
    ['majority', 'persistence']
    """
    choose("task", task, TASKS)
    return [name for name, row in METHODS.items() if task in row.tasks]
