"""Data sets for comparisons: named ones, CSV files, splits and preparation.

    dataset = load("digits_rare")  # or read_table("air.csv", "pm2.5", bins=[35, 75])
    parts = split(dataset, seed=0)
    arrays = prepare(dataset, parts)  # x_train, y_train, x_valid, ..., fitted on training rows

A `Dataset` also names the reward that it is made for and says in `notes` what was done to it.
"""

from policygrad_metrics.data.catalog import available, load
from policygrad_metrics.data.dataset import TASKS, Dataset
from policygrad_metrics.data.prepare import Preparation, Prepared, prepare
from policygrad_metrics.data.reading import Reading
from policygrad_metrics.data.series import Series
from policygrad_metrics.data.splits import Split, folds, split
from policygrad_metrics.data.table import read_table

__all__ = [
    "TASKS",
    "Dataset",
    "Preparation",
    "Prepared",
    "Reading",
    "Series",
    "Split",
    "available",
    "folds",
    "load",
    "prepare",
    "read_table",
    "split",
]
