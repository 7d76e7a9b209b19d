"""The week of the test hours that a picture shows."""

from __future__ import annotations

import numpy as np

from policygrad_metrics.air import ForecastTask


def choose_week(task: ForecastTask) -> np.ndarray:
    """Return places among the test hours: seven days from a midnight on, in order of time.

    The week with the most different levels, of those the one with the most hours, of those the
    first; no forecast is looked at.
    """
    hours, levels = task.hours[task.parts.test], task.dataset.y[task.parts.test]
    days = (hours.astype("datetime64[D]") - hours[0].astype("datetime64[D]")).astype(int)
    best, chosen = (-1, -1), np.arange(0)
    for first in range(max(1, int(days[-1]) - 5)):
        week = np.flatnonzero((days >= first) & (days < first + 7))
        merit = (len(np.unique(levels[week])), len(week))
        if len(week) and merit > best:
            best, chosen = merit, week
    return chosen
