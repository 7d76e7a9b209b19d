"""Public data sets, read from files that a person has in a folder."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from policygrad_metrics import aqi
from policygrad_metrics.data.cells import to_numbers
from policygrad_metrics.data.dataset import Dataset, numeric_dataset
from policygrad_metrics.data.reading import Reading, read_cells
from policygrad_metrics.data.table import read_table
from policygrad_metrics.data.target import cut

MIN_CLASS = 10
IMAGES = 10_000


def _without_rare_classes(dataset: Dataset) -> Dataset:
    kept = [k for k, count in enumerate(dataset.counts) if count >= MIN_CLASS]
    gone = [k for k in range(len(dataset.class_names)) if k not in kept]
    rows = np.isin(dataset.y, kept)
    note = f"classes with fewer than {MIN_CLASS} rows were dropped: " + ", ".join(
        f"{dataset.class_names[k]!r} ({dataset.counts[k]})" for k in gone
    )
    # Not `take`: rows, labels and names must change in one step to pass the checks.
    return dataclasses.replace(
        dataset.take(rows),
        y=np.searchsorted(kept, dataset.y[rows]),
        class_names=[dataset.class_names[k] for k in kept],
        notes=(*dataset.notes, note + "."),
    )


def _zeros_as_missing(dataset: Dataset) -> Dataset:
    names = ("glucose", "blood_pressure", "skin_thickness", "insulin", "bmi")
    numeric = dataset.numeric.copy()
    columns = [dataset.numeric_names.index(name) for name in names]
    zeros = numeric[:, columns] == 0
    numeric[:, columns] = np.where(zeros, np.nan, numeric[:, columns])
    note = "zeros that stand for missing were taken as missing: " + ", ".join(
        f"{name!r} {count}" for name, count in zip(names, zeros.sum(axis=0), strict=True)
    )
    return dataclasses.replace(dataset, numeric=numeric, notes=(*dataset.notes, note + "."))


#: The published order of the features' texts, lowest first.
_CAR_ORDERS = {
    "buying": ("low", "med", "high", "vhigh"),
    "maint": ("low", "med", "high", "vhigh"),
    "doors": ("2", "3", "4", "5more"),
    "persons": ("2", "4", "more"),
    "lug_boot": ("small", "med", "big"),
    "safety": ("low", "med", "high"),
}


def _car_as_numbers(dataset: Dataset) -> Dataset:
    from sklearn.preprocessing import OrdinalEncoder

    names = dataset.categorical_names
    orders: Any = [_CAR_ORDERS[name] for name in names]
    return dataclasses.replace(
        dataset,
        numeric=OrdinalEncoder(categories=orders).fit_transform(dataset.categorical),
        categorical=None,
        numeric_names=names,
        categorical_names=(),
        notes=(*dataset.notes, "the ordered texts of the features were numbered 0, 1, 2, ..."),
    )


def _pictures_against_rest(dataset: Dataset) -> Dataset:
    return dataclasses.replace(
        dataset,
        y=(dataset.y == dataset.class_names.index("5")).astype(int),
        class_names=["other", "picture"],
        task="binary",
        reward="f1",
    )


_THEN: dict[str, Callable[[Dataset], Dataset]] = {
    "pictures_against_rest": _pictures_against_rest,
    "without_rare_classes": _without_rare_classes,
    "zeros_as_missing": _zeros_as_missing,
    "car_as_numbers": _car_as_numbers,
}


def _read_tables() -> dict[str, dict[str, Any]]:
    file = resources.files("policygrad_metrics.data").joinpath("real.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


_TABLES = _read_tables()

#: name -> one line.
TITLES = {
    **{name: table["title"] for name, table in _TABLES.items()},
    "beijing_pm25": "Hourly PM2.5 in Beijing 2010-2014, six levels of China's HJ 633-2012",
    "mnist": "MNIST digits 28x28, 10 classes, a sample of the training images",
}


def load(name: str, folder: str | os.PathLike[str] | None, seed: int = 0) -> Dataset:
    """Return one of the sets ("car_levels" is a second reading of the car file).

    Args:
        name: A key of `TITLES`.
        folder: Where the files are.
        seed: Chooses the images of "mnist" and nothing else.

    Raises:
        FileNotFoundError: No folder was given, or the file is not there.
    """
    if name == "mnist":
        return _mnist(_file(name, folder, "mnist.npz"), seed)
    if name == "beijing_pm25":
        return _beijing(_file(name, folder, "beijing_pm25.csv.gz"))
    return _table(name, _file(name, folder, _TABLES[name]["file"]), _TABLES[name])


def _table(name: str, path: Path, entry: dict[str, Any]) -> Dataset:
    read = read_table(
        path,
        entry.get("target", "class"),
        bins=entry.get("bins"),
        positive=entry.get("positive"),
        order=entry.get("order", ()),
        reading=Reading(text=tuple(entry.get("text", ()))),
    )
    changed = {field: entry[field] for field in ("title", "task", "reward") if field in entry}
    notes = (*read.notes, *entry.get("notes", ()))
    dataset = dataclasses.replace(read, name=name, notes=notes, **changed)
    return _THEN[entry["then"]](dataset) if "then" in entry else dataset


def _file(name: str, folder: str | os.PathLike[str] | None, file: str) -> Path:
    way_out = (
        f"give the folder that holds {file!r}: load({name!r}, folder=...), or --data-dir FOLDER on "
        "the command line."
    )
    if folder is None:
        raise FileNotFoundError(f"{name!r} is read from a file and no folder was given; {way_out}")
    path = Path(folder, file)
    if not path.is_file():
        what = f"{file!r} is not in it" if Path(folder).is_dir() else "there is no such folder"
        raise FileNotFoundError(f"folder={str(folder)!r}: {what}; {way_out}")
    return path


def _beijing(path: Path) -> Dataset:
    columns, _ = read_cells(path)

    def numbers(name: str) -> np.ndarray:
        found = to_numbers(columns[name])
        if found is None:
            raise ValueError(f"path={str(path)!r}: column {name!r} holds a text.")
        return found

    pm25 = numbers("pm2.5")
    month, hour = 2 * np.pi * (numbers("month") - 1) / 12, 2 * np.pi * numbers("hour") / 24
    features = {
        **{name: numbers(name) for name in ("DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")},
        "month_sin": np.sin(month),
        "month_cos": np.cos(month),
        "hour_sin": np.sin(hour),
        "hour_cos": np.cos(hour),
    }
    known = np.isfinite(pm25)
    scale = "china_hj633_2012"
    labels = cut("pm2.5", pm25[known], aqi.edges(scale), aqi.names(scale))
    return Dataset(
        name="beijing_pm25",
        title=TITLES["beijing_pm25"],
        numeric=np.stack([*features.values()], axis=1)[known],
        categorical=np.array(columns["cbwd"], dtype=object)[known, None],
        numeric_names=tuple(features),
        categorical_names=("cbwd",),
        **labels.fields(),
        time_ordered=True,
        notes=(
            f"{int((~known).sum())} of {len(known)} rows were dropped: their PM2.5 is missing.",
            "weather of the hour itself is known; no earlier PM2.5 is.",
            "the bands are meant for 24-hour means; on hourly values they serve as labels only.",
        ),
    )


def _mnist(path: Path, seed: int) -> Dataset:
    with np.load(path, allow_pickle=False) as arrays:
        images, digits = arrays["x_train"], arrays["y_train"]
    rows = np.sort(np.random.default_rng(seed).choice(len(images), IMAGES, replace=False))
    side = images.shape[1]
    return numeric_dataset(
        "mnist",
        TITLES["mnist"],
        images[rows].reshape(IMAGES, -1) / 255,
        digits[rows].astype(np.int64),
        [str(digit) for digit in range(10)],
        numeric_names=[f"pixel {r},{c}" for r in range(side) for c in range(side)],
        task="multiclass",
        reward="f1_macro",
        notes=(
            f"{IMAGES} of the {len(images)} training images, chosen by seed {seed}; the test "
            "images were left alone.",
        ),
    )
