"""Boosted trees of LightGBM: grown one by one, judged on held-out rows, cut at the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse
import scipy.special

from policygrad_metrics.tabular.boosting import Metric, Objective, prior_logits
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.training.order import hold_out
from policygrad_metrics.training.stopping import EarlyStopping


@dataclasses.dataclass(frozen=True)
class TreeSettings:
    """How trees grow, by LightGBM's names.

    Args:
        n_estimators: Most rounds; a round grows one tree for each column of outputs.
        num_leaves: Most leaves of a tree.
        learning_rate: What a tree's values are multiplied with.
        min_child_samples: Least rows of a leaf.
        reg_lambda: L2 penalty of the leaves' values.
        n_jobs: Threads; None for LightGBM's choice. The trees are the same.
        parameters: Others of LightGBM.
        seed: Of held-out rows, and of whatever LightGBM draws.
    """

    n_estimators: int
    num_leaves: int
    learning_rate: float
    min_child_samples: int = 20
    reg_lambda: float = 0.0
    n_jobs: int | None = None
    parameters: Mapping[str, Any] | None = None
    seed: int = 0

    @property
    def threads(self) -> int:
        """`n_jobs` as LightGBM has it, 0 for its own choice."""
        return self.n_jobs or 0

    def for_lightgbm(self, objective: Objective | str, outputs: int) -> dict[str, Any]:
        """Return the parameters of a booster."""
        return {
            "num_leaves": self.num_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_child_samples,
            "lambda_l2": self.reg_lambda,
            "verbosity": -1,
            **(self.parameters or {}),
            "objective": objective if isinstance(objective, str) else "none",
            "metric": "none",
            "num_class": outputs,
            "num_threads": self.threads,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
        }


class Trees:
    """Boosted trees, from rows to outputs; pickled as LightGBM's text.

    Args:
        settings: How they grow.
        objective: Its gradient, or the name of one of LightGBM's own.
        metric: The reward of the decisions.
        num_classes: K; 2 for label columns.
    """

    def __init__(
        self, settings: TreeSettings, objective: Objective | str, metric: Metric, num_classes: int
    ):
        self.settings = settings
        #: Logits that boosting starts at; LightGBM starts its own objectives itself.
        self.start = np.zeros(1)
        self.rounds = 0
        self._objective = objective
        self._metric = metric
        self._num_classes = num_classes
        self._model: Any = None

    def held_out(self, rows: Rows, share: float) -> np.ndarray:
        """Row numbers of a stratified validation part."""
        strata = rows.y
        if rows.group is not None:
            strata = np.column_stack([rows.group, strata])
        return hold_out(strata, share, [self.settings.seed, 0, 1])

    def outputs(self, x: Any) -> np.ndarray:
        """Logits of dense or sparse rows, `[N, columns]`."""
        return raw_outputs(self._model, x, self.settings.threads) + self.start

    @property
    def text(self) -> str:
        """The trees as LightGBM writes them; what they start at is no part of it."""
        return self._model.model_to_string()

    def train(
        self, rows: Rows, held_out: Rows | None, patience: int | None, verbose: int = 0
    ) -> dict[str, list[float]]:
        """Grow the trees; with patience, keep those up to the best round and stop after it.

        The rule is that of `EarlyStopping`, as for networks.

        Args:
            rows: To train on.
            held_out: To judge on, or None.
            patience: Rounds without a new best before growing stops, which needs a held-out part;
                None to grow all trees.
            verbose: 1 prints a line each round.

        Returns:
            With a held-out part its reward and cross-entropy, a number for each round.
        """
        lightgbm = import_lightgbm()
        most, objective = self.settings.n_estimators, self._objective
        priors = prior_logits(rows.y, rows.weight, num_classes=self._num_classes)
        self.start = np.atleast_1d(priors) * (not isinstance(objective, str))
        data = self._dataset(rows)
        booster = lightgbm.Booster(self.settings.for_lightgbm(objective, self.start.size), data)
        if held_out is not None:
            booster.add_valid(self._dataset(held_out, data), "held out")
        history: dict[str, list[float]] = {}

        def derivatives(raw, _):
            assert not isinstance(objective, str)
            found = objective(rows.y, _like(rows.y, raw), rows.weight)
            return [x.reshape(np.shape(raw)) for x in found]

        def one(number):
            booster.update(fobj=None if isinstance(objective, str) else derivatives)
            judged = {} if held_out is None else self._judged(booster, held_out)
            for name, value in judged.items():
                history.setdefault(name, []).append(value)
            if verbose:
                told = [f"{name} {value:.4f}" for name, value in judged.items()]
                print(" - ".join([f"tree {number + 1}/{most}", *told]))
            reward, cross_entropy = judged.values() or (0.0, 0.0)
            return [reward], True, [cross_entropy]

        def keep(_):
            self.rounds = stopping.epoch

        stopping = EarlyStopping(patience=patience, lengths=None if patience else [most])
        stopping.run(most, one, keep)
        # Of the text, the training set is no part.
        text = booster.model_to_string(num_iteration=self.rounds)
        self._model = lightgbm.Booster(model_str=text)
        return history

    def _dataset(self, rows, reference=None):
        lightgbm = import_lightgbm()
        # Of label columns LightGBM takes none; the objective has them.
        labels = rows.y if rows.y.ndim == 1 else np.zeros(len(rows))
        start = None
        if self.start.any():
            start = np.broadcast_to(self.start, (len(rows), self.start.size))
            start = start.ravel(order="F").astype(np.float64)
        # How many threads LightGBM was told last goes for all its calls.
        parameters = {
            "verbosity": -1,
            "feature_pre_filter": False,
            "num_threads": self.settings.threads,
        }
        return lightgbm.Dataset(
            _table(rows.x),
            labels,
            weight=rows.weight,
            init_score=start,
            reference=reference,
            params=parameters,
        )

    def _judged(self, booster, rows):
        """The reward of the likeliest labels and the mean cross-entropy."""
        found = {}

        def judge(scores, _):
            own = isinstance(self._objective, str)  # LightGBM gives probabilities of its own
            raw = _like(rows.y, _logits_of(scores) if own else scores)
            name, reward, _ = self._metric(rows.y, raw, rows.weight)
            found[f"val_{name}"] = reward
            found["val_cross_entropy"] = _cross_entropy(rows.y, raw, rows.weight)
            return name, reward, True

        booster.eval_valid(judge)
        return found


def raw_outputs(booster: Any, x: Any, threads: int = 0) -> np.ndarray:
    """Return what trees add to the logits that they start at, `[N, columns]`."""
    raw = booster.predict(_table(x), raw_score=True, num_threads=threads)
    return np.reshape(raw, (x.shape[0], -1))


def import_lightgbm() -> Any:
    """Return LightGBM.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise ImportError(
            "boosted trees need LightGBM: pip install policygrad-metrics[boosting]."
        ) from error
    return lightgbm


def _table(x):
    """Rows as LightGBM takes them: of sparse ones a matrix only."""
    return scipy.sparse.csr_matrix(x) if scipy.sparse.issparse(x) else np.ascontiguousarray(x)


def _like(y, raw):
    """One label column is a column to us, and none to LightGBM."""
    return raw.reshape(y.shape) if y.ndim == 2 else raw


def _logits_of(probabilities):
    p = np.clip(probabilities, 1e-15, 1.0)
    return np.log(p) if p.ndim == 2 else np.log(p) - np.log(np.clip(1.0 - p, 1e-15, 1.0))


def _cross_entropy(y, logits, weight):
    if y.ndim == logits.ndim:
        losses = np.logaddexp(0.0, logits) - y * logits
    else:
        losses = -scipy.special.log_softmax(logits, axis=1)[np.arange(len(y)), y.astype(int)]
    return float(np.average(losses.reshape(len(y), -1).mean(axis=1), weights=weight))
