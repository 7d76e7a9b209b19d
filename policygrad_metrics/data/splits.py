"""Training, validation and test rows: stratified, or by time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from policygrad_metrics.core.checks import check_whole
from policygrad_metrics.data.dataset import Dataset

PARTS = ("training", "validation", "test")
#: Multi-label rows are stratified by their whole label set where it occurs at least so often.
MIN_LABEL_SET = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts (int64, increasing) and what to know about them."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()


def split(dataset: Dataset, seed: int, *, fractions: Sequence[float] = (0.6, 0.2, 0.2)) -> Split:
    """Divide the rows into training, validation and test parts.

    Shuffled and stratified: of the n rows of a class each part gets its share of n, rounded to the
    largest remainders, the training part at least one. The parts are of the same size for every
    seed, so that the seeds can be trained as one stack. Multi-label rows are stratified by their
    label set, rare sets together. If `dataset.time_ordered`: the first rows train, the last test;
    nothing is shuffled and the seed changes nothing.

    Args:
        dataset: What to split.
        seed: Whole number >= 0.
        fractions: Shares of the three parts, positive, summing to 1.

    Raises:
        ValueError: Bad fractions or seed, a part without rows, or (shuffled) a class whose rows
            are all outside the training part.

    >>> dataset = Dataset("toy", "Toy", [[0.0]] * 50, None, ["x"], [], [0] * 40 + [1] * 10,
    ...                   ["no", "yes"], "binary", "f1")
    >>> parts = split(dataset, seed=1)
    >>> [int(dataset.y[rows].sum()) for rows in (parts.train, parts.valid, parts.test)]
    [6, 2, 2]
    """
    shares = np.array(fractions, np.float64)
    if shares.shape != (3,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(
            "fractions must be three positive shares (training, validation, test) that sum to 1, "
            f"such as (0.6, 0.2, 0.2); got {fractions!r}."
        )
    check_whole("seed", seed, 0)
    rng = np.random.default_rng(seed)
    N = len(dataset)
    ends = np.cumsum(shares)[:2]
    if dataset.time_ordered:
        first, second = np.floor(N * ends + 1e-9).astype(int)
        parts = [np.arange(first), np.arange(first, second), np.arange(second, N)]
    else:
        parts = _stratified(_strata(dataset), ends, rng, dataset.task != "multilabel")
    return _checked(dataset, parts, f"seed={seed}")


def folds(dataset: Dataset, k: int, seed: int) -> tuple[Split, ...]:
    """Return k splits whose test parts are the folds of a shuffled, stratified k-fold.

    The folds are those of `sklearn.model_selection.StratifiedKFold(k, shuffle=True,
    random_state=seed)` (multi-label: `KFold`); of the other rows a stratified fifth validates.

    Args:
        dataset: What to split; not one ordered by time.
        k: Number of folds, from 2 to the rows of the rarest class.
        seed: Whole number >= 0.

    Raises:
        ValueError: One of these does not hold, or a class is missing in a training part.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if dataset.time_ordered:
        raise ValueError(
            f"folds shuffle the rows, but {dataset.name!r} is ordered by time; use split."
        )
    check_whole("seed", seed, 0)
    check_folds(dataset, k)
    multilabel = dataset.task == "multilabel"
    folder = (KFold if multilabel else StratifiedKFold)(
        n_splits=int(k), shuffle=True, random_state=seed
    )
    strata = _strata(dataset)
    made = []
    for fold, (rest, test) in enumerate(folder.split(strata, strata)):
        rng = np.random.default_rng([seed, fold])
        ends = np.array([0.8, 1.0])
        train, inner, _ = _stratified(strata[rest], ends, rng, not multilabel)
        made.append(_checked(dataset, [rest[train], rest[inner], test], f"fold {fold + 1}"))
    return tuple(made)


def check_folds(dataset: Dataset, k: int) -> None:
    """Raise unless there are rows enough for k folds.

    Raises:
        ValueError: A class (multi-label: the data set) has fewer than k rows.
    """
    check_whole("k", k, 2)
    counts = dict(zip(dataset.class_names, dataset.counts, strict=True))
    if dataset.task == "multilabel":
        counts = {"all labels together": len(dataset)}
    scarce = {name: count for name, count in counts.items() if 0 < count < k}
    if scarce:
        least = min(scarce.values())
        fewer = f"use {least} folds at most (--folds {least}), " if least > 1 else ""
        shown = ", ".join(f"{name!r} has {count}" for name, count in scarce.items())
        raise ValueError(
            f"k={k} folds (--folds {k}) need {k} rows of every class of {dataset.name!r}, but "
            f"{shown}: {fewer}take a random split (without --folds), or leave the "
            "rows of so rare a class out of the file."
        )


def _strata(dataset: Dataset) -> np.ndarray:
    if dataset.task != "multilabel":
        return dataset.y
    _, sets, counts = np.unique(dataset.y, axis=0, return_inverse=True, return_counts=True)
    sets = sets.reshape(-1)
    return np.where(counts[sets] >= MIN_LABEL_SET, sets, -1)


def _stratified(
    strata: np.ndarray, ends: np.ndarray, rng: np.random.Generator, keep_one: bool
) -> list[np.ndarray]:
    """By hand, as scikit-learn's `StratifiedShuffleSplit` refuses classes of a single row."""
    parts: list[list[np.ndarray]] = [[], [], []]
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        first, second, _ = np.cumsum(_sizes(len(rows), np.diff(ends, prepend=0.0, append=1.0)))
        first = max(first, 1) if keep_one else first
        for part, piece in zip(parts, np.split(rows, [first, max(first, second)]), strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


def _sizes(count: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers that sum to `count`, each within one of its share; ties favour the last.

    >>> _sizes(7, np.array([0.6, 0.2, 0.2])), _sizes(2, np.array([0.6, 0.2, 0.2]))
    (array([4, 1, 2]), array([1, 0, 1]))
    """
    exact = count * shares
    sizes = np.floor(exact + 1e-9).astype(int)  # 1e-9: 1 - 0.8 is a little less than 0.2
    # Rounded, as shares that are equal may differ in their last bit; turned round for the ties.
    largest = np.argsort(-np.round(exact - sizes, 9)[::-1], kind="stable")
    sizes[::-1][largest[: count - sizes.sum()]] += 1
    return sizes


def _checked(dataset: Dataset, parts: list[np.ndarray], which: str) -> Split:
    notes = []
    present = np.array(dataset.counts) > 0
    if not present.all():
        notes.append(f"in no part, as without any row: {_named(dataset, ~present)}.")
    for part, rows in zip(PARTS, parts, strict=True):
        if not len(rows):
            raise ValueError(
                f"{which}: the {part} part of the {len(dataset)} rows of {dataset.name!r} is "
                "empty; give it a larger share."
            )
        y = dataset.y[rows]
        K = len(dataset.class_names)
        counts = y.sum(axis=0) if y.ndim == 2 else np.bincount(y, minlength=K)
        absent = present & (counts == 0)
        if not absent.any():
            continue
        if part == "training" and not dataset.time_ordered:
            raise ValueError(
                f"{which}: the training part of {dataset.name!r} has no row of "
                f"{_named(dataset, absent)}; use another seed, a larger training share, or leave "
                "such rare classes out."
            )
        notes.append(f"the {part} part has no row of {_named(dataset, absent)}.")
    train, valid, test = parts
    return Split(train, valid, test, tuple(notes))


def _named(dataset: Dataset, chosen: np.ndarray) -> str:
    names = zip(dataset.class_names, chosen, strict=True)
    return ", ".join(repr(name) for name, is_chosen in names if is_chosen)
