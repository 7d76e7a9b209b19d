"""The settings of a comparison, checked, and the command that repeats it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import platform
import re
import shlex
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

import policygrad_metrics
from policygrad_metrics.data import Dataset
from policygrad_metrics.data.dataset import check_different
from policygrad_metrics.data.splits import check_folds
from policygrad_metrics.study.quiet import quiet_start
from policygrad_metrics.study.suites import check_word, load_word, thinned, words_of
from policygrad_metrics.study.table import part_shares
from policygrad_metrics.study.table_file import Source, command_words
from policygrad_metrics.study.tables_toml import read_tables
from policygrad_metrics.study.words import options

#: One data set of each kind.
DEFAULT_DATA = ("digits_rare", "imbalanced5", "diabetes_levels", "pm25:exact_bin")
WHY_DEFAULT = (
    "The data sets were chosen for their kinds, before this comparison was run: of the standard "
    "suite one for each kind that needs no file, with the reward that it has there. F1 of a rare "
    "class (digits_rare), macro-F1 of uneven classes (imbalanced5), quadratic kappa of ordered "
    "levels (diabetes_levels), hours of a series at the right AQI level (pm25:exact_bin)."
)
#: The methods of `--methods principal`: the usual first choices, and what this package adds.
PRINCIPAL = (
    "majority",
    "persistence",
    "logistic_regression",
    "gradient_boosting",
    "cross_entropy",
    "weighted_cross_entropy",
    "focal",
    "soft_f1",
    "soft_f1_mixed",
    "anyloss",
    "pairwise_logistic",
    "listnet",
    "listmle",
    "approx_ndcg",
    "smooth_ap",
    "auc_margin",
    "reinforce_leave_one_out",
    "policy_gradient",
    "policy_gradient_pure",
    "policy_gradient_warm",
)
#: The methods of `--methods quick`: those that a decision needs.
QUICK = (
    "majority",
    "persistence",
    "logistic_regression",
    "gradient_boosting",
    "cross_entropy",
    "weighted_cross_entropy",
    "soft_f1_mixed",
    "pairwise_logistic",
    "smooth_ap",
    "policy_gradient",
)
#: Of an optimizer given by name.
LEARNING_RATE = 1e-3
#: The least default number of epochs, and the least number of optimizer steps in them.
MIN_EPOCHS, MIN_STEPS = 40, 600
_PACKAGES = ("numpy", "scipy", "scikit-learn", "tensorflow", "keras", "tensorflow-probability")


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """Everything a comparison depends on.

    Args:
        data: Names of data sets, see `policygrad_metrics.data.available`, or "name:reward" for
            another reward than the set's own; may be empty with `files`, `tables` or a `suite`.
        suite: A list of data sets, a key of `study.suites.SUITES`, before those of `data`.
        files: CSV files, each a `TableFile`, or other `Source`s.
        tables: A TOML file that names more of them, see `study.tables_toml`.
        data_dir: Folder of the data sets that are read from files.
        methods: Names of methods.
        reward: Name of the reward for all data sets; None for each set's own.
        subject_to: Constraints as texts, such as "precision>=0.9" or "recall[malignant]>=0.8",
            that tuned decisions must keep and policy gradients are trained under.
        seeds: How many runs of each method.
        seed: The first of them: runs have the seeds seed, seed + 1, ...
        folds: None for a random split of its own for each seed; k for k-fold cross-validation:
            the first k seeds test on the folds of one shuffle, the next k on those of another.
            A series is split by time in any case.
        test_share: Share of the rows that test; a fifth of the others validates. None for 60, 20
            and 20 % that train, validate and test.
        trials: How many settings of its hyper-parameters each method tries for each seed, its
            defaults first; the best on the validation part counts.
        members: How many networks each method that trains one trains for each run, alike but for
            their first weights and the order of the data; the mean of their probabilities (and of
            the values they predict) is what is decided by.
        epochs: Passes over the training part, the same for every network; None for at least 40
            and at least 600 steps, which is 40 above some 6,000 rows.
        batch_size: Rows per optimizer step.
        hidden: Widths of the hidden layers.
        optimizer: The Keras optimizer that trains every network: a name; or an instance, with a
            schedule too, of which the configuration counts and is kept here as JSON.
        learning_rate: Of an optimizer given by name; an instance has its own. Trials vary either,
            but not a schedule.
        dropout: Share of the hidden units that are dropped while training.
        refit: Whether every method, once its epochs and its decision are chosen, is trained anew on
            training and validation part together; for series only.
        predictions: Whether probabilities and decisions of the test rows are kept beside the runs.

    Raises:
        ValueError: An argument is out of range; the message names it.

    >>> StudySettings(seeds=0)
    Traceback (most recent call last):
    ValueError: seeds must be a whole number from 1 to 1000, got 0.
    """

    data: tuple[str, ...] = DEFAULT_DATA
    suite: str | None = None
    files: tuple[Source, ...] = ()
    tables: str | None = None
    data_dir: str | None = None
    methods: tuple[str, ...] = PRINCIPAL
    reward: str | None = None
    subject_to: tuple[str, ...] = ()
    seeds: int = 5
    seed: int = 0
    folds: int | None = None
    test_share: float | None = None
    trials: int = 1
    members: int = 1
    epochs: int | None = None
    batch_size: int = 256
    hidden: tuple[int, ...] = (64, 64)
    optimizer: Any = "adam"
    learning_rate: float = LEARNING_RATE
    dropout: float = 0.0
    refit: bool = False
    predictions: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (
            ("folds", 2, 1000),  # before seeds, whose default may follow it
            ("seeds", 1, 1000),
            ("seed", 0, 2**31 - 1001),
            ("trials", 1, 10_000),
            ("members", 1, 1000),
            ("epochs", 1, 100_000),
            ("batch_size", 1, 1_000_000),
        ):
            if name not in ("epochs", "folds") or getattr(self, name) is not None:
                _check_whole(name, getattr(self, name), least, most)
        if len(self.hidden) > 20:
            raise ValueError(f"hidden must be at most 20 layers, got {len(self.hidden)}.")
        for width in self.hidden:
            _check_whole("hidden", width, 1, 10_000)
        if self.optimizer != "adam":
            object.__setattr__(self, "optimizer", self._read_optimizer())
        if not (math.isfinite(self.learning_rate) and 0 < self.learning_rate <= 10):
            raise ValueError(
                "learning_rate must be a number above 0 and at most 10, such as 0.001, got "
                f"{self.learning_rate!r}."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be a share from 0 to below 1, got {self.dropout!r}.")
        if self.test_share is not None and not 0.0 < self.test_share < 1.0:
            raise ValueError(
                f"test_share must be a share above 0 and below 1, such as 0.3, got "
                f"{self.test_share!r}."
            )
        if self.test_share is not None and self.folds is not None:
            raise ValueError(
                f"test_share={self.test_share} (--test-share) and folds={self.folds} (--folds) "
                "both say how many rows test: give one of the two."
            )
        if self.folds is not None and self.seeds % self.folds:
            raise ValueError(
                f"seeds must be a multiple of folds, one run for each fold; got {self.seeds} seeds "
                f"and {self.folds} folds."
            )
        _check_constraints(self.subject_to)
        for word in self.data:
            check_word(word)
        check_different("data", self.data)
        check_different("methods", self.methods)
        if not self.words and not self.has_tables:
            raise ValueError("data must name at least one data set, or a table must be given.")

    @property
    def words(self) -> tuple[str, ...]:
        """The data sets that have names, those of the suite first."""
        suite = words_of(self.suite, self.data_dir) if self.suite else ()
        return tuple(dict.fromkeys((*suite, *self.data)))

    @property
    def has_tables(self) -> bool:
        """Whether there are files of the user's own."""
        return bool(self.files) or self.tables is not None

    @property
    def keeps_predictions(self) -> bool:
        """Whether predictions are kept: asked for, or needed for the report."""
        return self.predictions or any(file.keeps_predictions for file in self.files)

    @property
    def run_seeds(self) -> tuple[int, ...]:
        """The seeds of the runs."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Shares of the training, validation and test part where there are no folds.

        >>> StudySettings(test_share=0.5).fractions
        (0.4, 0.1, 0.5)
        """
        train, test = part_shares(None, self.test_share)
        return train, round(1 - train - test, 12), test

    def epochs_for(self, dataset: Dataset) -> int:
        """Return the number of epochs that every network trains on a data set.

        >>> from policygrad_metrics.data import load
        >>> StudySettings().epochs_for(load("iris")), StudySettings().epochs_for(load("pm25"))
        (600, 40)
        """
        if self.epochs is not None:
            return self.epochs
        train, _ = part_shares(None if dataset.time_ordered else self.folds, self.test_share)
        steps = math.ceil(train * len(dataset) / self.batch_size)
        return max(MIN_EPOCHS, math.ceil(MIN_STEPS / steps))

    def datasets(self) -> list[Dataset]:
        """Read all data sets.

        Raises:
            ValueError: A table cannot be used, or it has the name of another data set, or there are
                too few rows for the folds.
            OSError: A file cannot be read.
        """
        sets = [load_word(word, self.data_dir) for word in self.words]
        if self.suite:
            sets = [thinned(dataset) for dataset in sets]
        named = () if self.tables is None else read_tables(self.tables)
        sets += [file.read() for file in (*self.files, *named)]
        way_out = "; a TOML file (--tables) can give a table another name" * self.has_tables
        check_different("data", [dataset.name for dataset in sets], way_out)
        for dataset in sets:
            if self.folds is not None and not dataset.time_ordered:
                check_folds(dataset, self.folds)
        return sets

    def fixed(self) -> dict[str, Any]:
        """What all runs of one directory must share, as plain values."""
        fields = dataclasses.asdict(self)
        for free in ("data", "suite", "files", "tables", "data_dir", "methods", "predictions"):
            del fields[free]
        if not self.subject_to:  # runs of earlier versions have none
            del fields["subject_to"]
        own: dict[str, Any] = {}
        for file in self.files:
            own |= file.fixed()
        return {**own, **json.loads(json.dumps(fields)), "versions": versions()}

    def command(self) -> str:
        """Return the shell command that runs this comparison.

        Files that no options can name together are told by the settings, as Python.

        >>> StudySettings(data=("iris",), methods=("focal",), seeds=2).command()[:61]
        'policygrad compare --data iris --methods focal --seeds 2 --se'
        """
        words = command_words(self.files)
        if words is None:
            return repr(self)
        words += options(
            self, "tables", "suite", "data", "data_dir", "reward", "subject_to", "methods"
        )
        words += options(self, "seeds", "seed", "folds", "test_share")
        return shlex.join([*words, *self.training_words(), *options(self, "predictions")])

    def _read_optimizer(self) -> str:
        with quiet_start():  # TensorFlow loads slowly
            from policygrad_metrics.training import optimizer as optimizers
        optimizers.configured(self.optimizer)
        text = optimizers.as_text(self.optimizer)
        if text.startswith("{") and self.learning_rate != LEARNING_RATE:
            raise ValueError(
                "learning_rate goes with the name of an optimizer, and this one has its own: leave "
                f"it out, or give a name; it is {self.learning_rate!r}."
            )
        if optimizers.own_rate(text, self.learning_rate) is None and self.trials > 1:
            raise ValueError(
                "trials vary the learning rate, which the schedule of this optimizer settles: "
                f"leave trials=1, or give a number as learning rate; trials is {self.trials}."
            )
        return text

    def training_words(self) -> list[str]:
        """Return the options of how everything is trained."""
        words = options(self, "trials", "epochs", "batch_size")
        words += options(self, "hidden") or ["--hidden", "none"]
        if self.members != 1:
            words += options(self, "members")
        if self.optimizer != "adam":
            words += options(self, "optimizer")
        return words + options(self, "learning_rate", "dropout", "refit")


def fingerprint(dataset: Dataset) -> str:
    """Return sixteen hexadecimal digits that change with anything a run depends on.

    >>> from policygrad_metrics.data import load
    >>> fingerprint(load("iris")) == fingerprint(load("iris")), len(fingerprint(load("iris")))
    (True, 16)
    """
    digest = hashlib.sha256()
    for array in (dataset.numeric, dataset.y):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    rest = (
        dataset.categorical.tolist(),
        dataset.numeric_names,
        dataset.categorical_names,
        dataset.class_names,
        dataset.task,
        dataset.time_ordered,
    )
    digest.update(json.dumps(rest).encode())
    return digest.hexdigest()[:16]


def directory_name(settings: StudySettings, datasets: Sequence[Dataset]) -> str:
    """Return a name that belongs to these settings and data: other ones get another."""
    prints = [
        (one.name, fingerprint(one), one.horizon, one.reward, *one.subject_to) for one in datasets
    ]
    text = json.dumps([settings.fixed(), settings.methods, prints], sort_keys=True)
    sets = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", dataset.name) for dataset in datasets)
    return f"{sets[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that a score may depend on."""
    return {
        "policygrad-metrics": policygrad_metrics.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def _check_whole(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r}.")


def _check_constraints(values: Any) -> None:
    if not isinstance(values, tuple) or not all(isinstance(one, str) for one in values):
        raise ValueError(
            'subject_to must be a tuple of texts such as ("precision>=0.9",), on the command line '
            f"--subject-to 'precision>=0.9', got {values!r}."
        )
    check_different("subject_to", values)
