"""LibAUC's losses and optimisers, in PyTorch: rivals for rankings where it is installed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Self

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.methods.base import Choice, Method, TaskInfo
from policygrad_metrics.study.settings import MIN_EPOCHS, MIN_STEPS
from policygrad_metrics.training.stopping import EarlyStopping

#: Units of both hidden layers and rows of a step: the study's defaults.
UNITS, ROWS_OF_STEP = 64, 256


class LibAUCNetwork(BaseEstimator):
    """A network that LibAUC trains, as large as those of the other methods and for as many steps.

    Steps have as many positives as negatives, as those of LibAUC's own sampler.

    Args:
        info: the task.
        loss: "auc_margin" (`AUCMLoss` and the optimiser `PESG`) or "average_precision"
            (`AveragePrecisionLoss` and `SOAP`).
        hyper: "learning_rate" of the optimiser and the other arguments of the loss.
        seed: of the first weights and of the rows that are drawn.
    """

    def __init__(self, info: TaskInfo, loss: str, hyper: Mapping[str, float], seed: int):
        self.info = info
        self.loss = loss
        self.hyper = hyper
        self.seed = seed

    def fit(self, x: Any, y: Any, x_valid: Any = None, y_valid: Any = None) -> Self:
        """Train, and keep the epoch of the best reward of a validation part, if there is one."""
        epochs = max(MIN_EPOCHS, -(-MIN_STEPS // _steps(y)))
        return self._trained(epochs, x, y, None if x_valid is None else (x_valid, y_valid))

    def refit(self, x: Any, y: Any) -> Self:
        """Train for as many epochs on other rows."""
        return self._trained(self.epochs_, x, y, None)

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return what the sigmoids of the scores lack to 1, and these, float64 `[N, 2]`."""
        check_is_fitted(self, "network_")
        scores = self._scores(x)
        return special.expit(np.stack([-scores, scores], axis=1))

    def _trained(self, epochs, x, y, valid):
        torch = _torch()
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        reward: Any = get_reward(self.info.reward)
        sides = [np.flatnonzero(y == side) for side in (1.0, 0.0)]
        draws = np.random.default_rng(self.seed)

        def one(_):
            for _ in range(_steps(y)):
                rows = np.concatenate([_drawn(draws, side, ROWS_OF_STEP // 2) for side in sides])
                chances = torch.sigmoid(self.network_(torch.from_numpy(x[rows])))
                optimizer.zero_grad()
                truth = torch.from_numpy(y[rows])
                loss(chances, truth, index=torch.from_numpy(rows)).backward()
                optimizer.step()
            return ([0.0 if valid is None else reward(valid[1], self._scores(valid[0]))],)

        def keep(_):
            best.update(copy.deepcopy(self.network_.state_dict()))

        # Neither PyTorch's random numbers nor its threads are changed for others.
        with torch.random.fork_rng(devices=[]), threadpool_limits(1):
            torch.manual_seed(self.seed)
            self.network_ = torch.nn.Sequential(
                torch.nn.Linear(x.shape[1], UNITS),
                torch.nn.ReLU(),
                torch.nn.Linear(UNITS, UNITS),
                torch.nn.ReLU(),
                torch.nn.Linear(UNITS, 1),
            )
            loss, optimizer = self._objective(len(y))
            best: dict[str, Any] = {}
            stopping = EarlyStopping(lengths=[epochs] if valid is None else None)
            stopping.run(epochs, one, keep)
        self.network_.load_state_dict(best)
        self.epochs_ = int(stopping.best_epoch[0]) + 1
        return self

    def _objective(self, rows):
        """The loss and its optimiser, with LibAUC's defaults for what is not searched."""
        losses, optimizers = (import_module(f"libauc.{name}") for name in ("losses", "optimizers"))
        hyper, weights = dict(self.hyper), self.network_.parameters()
        rate = {"lr": hyper.pop("learning_rate"), "verbose": False, "device": "cpu"}
        if self.loss == "average_precision":
            loss = losses.AveragePrecisionLoss(rows, **hyper, device="cpu")
            return loss, optimizers.SOAP(weights, **rate)
        loss = losses.AUCMLoss(**hyper, version="v2", device="cpu")
        return loss, optimizers.PESG(weights, loss_fn=loss, **rate)

    def _scores(self, x):
        torch = _torch()
        with torch.no_grad():
            scores = self.network_(torch.from_numpy(np.asarray(x, np.float32)))
        return scores.numpy()[:, 0].astype(np.float64)


def _torch() -> Any:
    return import_module("torch")


def _steps(y):
    return -(-len(y) // ROWS_OF_STEP)


def _drawn(draws, rows, number):
    """Rows of one class, none twice as long as there are enough."""
    return draws.choice(rows, number, replace=len(rows) < number)


def _row(loss: str, summary: str, paper: str, **hyperparameters: Choice) -> Method:
    def predictor(info: TaskInfo, hyper: Mapping[str, Any], seed: int) -> LibAUCNetwork:
        return LibAUCNetwork(info, loss, hyper, seed)

    return Method(
        f"libauc_{loss}",
        summary,
        "surrogate",
        paper,
        frozenset({"ranking"}),
        predictor=predictor,
        hyperparameters=hyperparameters,
        validates=True,
        needs="libauc",
    )


ROWS: list[Method] = [
    _row(
        "auc_margin",
        "LibAUC's margin loss of ROC-AUC and its optimiser PESG, in PyTorch",
        "Yuan, Yan, Sonka, Yang 2021, Large-scale robust deep AUC maximization",
        learning_rate=Choice(0.1, 0.01, 1.0, log=True),
        margin=Choice(1.0, 0.1, 1.0),
    ),
    _row(
        "average_precision",
        "LibAUC's loss of average precision and its optimiser SOAP, in PyTorch",
        "Qi, Luo, Xu, Ji, Yang 2021, Stochastic optimization of areas under PR curves",
        learning_rate=Choice(0.001, 1e-4, 1e-2, log=True),
        gamma=Choice(0.9, 0.1, 0.9),
        margin=Choice(1.0, 0.6, 1.0),
    ),
]
