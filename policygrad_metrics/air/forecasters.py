"""The methods that forecast levels: those of the table, and persistence."""

from __future__ import annotations

from collections.abc import Sequence

from policygrad_metrics.air import concentration
from policygrad_metrics.air.settings import PRINCIPAL
from policygrad_metrics.core.checks import choose
from policygrad_metrics.study.methods import METHODS

PERSISTENCE = "persistence"
#: name -> one line, of what is not in the table of methods.
OWN = {
    PERSISTENCE: "the level of the last known concentration",
    **{name: method.summary for name, method in concentration.METHODS.items()},
}


def forecaster_names(words: Sequence[str], horizon: int) -> tuple[str, ...]:
    """Return names of methods, "principal" and "all" spelled out, that suit the horizon.

    Raises:
        ValueError: A name is not known, does not suit levels, or needs a last known value.

    >>> forecaster_names(["persistence", "focal"], horizon=1)
    ('persistence', 'focal')
    """
    table = (
        name for name, row in METHODS.items() if "ordinal" in row.tasks and row.tuning == "auto"
    )
    fitting = [*dict.fromkeys([*OWN, *table])]
    groups = {"principal": PRINCIPAL, "all": tuple(fitting)}
    for word in words:
        choose("methods", word, [*fitting, *groups])
    if not horizon and PERSISTENCE in words and len(words) == 1:
        raise ValueError("persistence needs a last known value: give a horizon of 1 hour or more.")
    names = dict.fromkeys(name for word in words for name in groups.get(word, (word,)))
    return tuple(name for name in names if horizon or name != PERSISTENCE)
