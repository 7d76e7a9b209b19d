"""Synthetic data sets, made from a seed: nothing to download, nothing real."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from policygrad_metrics import aqi
from policygrad_metrics.data.dataset import Dataset, numeric_dataset
from policygrad_metrics.data.target import cut

HOURS = 8000
LAGS = (3, 6, 12, 24)
SECTORS = ("north", "east", "south", "west")

#: name -> one line.
TITLES = {
    "pm25": "Synthetic hourly PM2.5, 3 hours ahead, six levels of China's HJ 633-2012",
    "random": "Synthetic 'Random' set of the AnyLoss study, 2 features, about 10 % positive",
    "imbalanced5": "Synthetic clouds of 5 uneven classes, the rarest 3 %",
    "multilabel": "Synthetic multi-label set, 6 labels",
    "rare_1": "Synthetic set, 1 % positive, 20 features, one cluster a class",
    "rare_1_clusters": "Synthetic set, 1 % positive, 20 features, four clusters a class",
    "rare_03": "Synthetic set, .3 % positive, 20 features, two clusters a class",
}


def load(name: str, seed: int = 0) -> Dataset:
    """Return a synthetic data set; the same name and seed give the same bits.

    Args:
        name: A key of `TITLES`.
        seed: Whole number >= 0. "random" with seed 0 is the published set.

    >>> load("random").counts
    (8953, 1047)
    """
    return _MAKERS[name](seed)


def _autoregressive(rng: np.random.Generator, N: int, memory: float) -> np.ndarray:
    """A stationary series of mean 0 and variance 1: x[t] = memory x[t-1] + noise."""
    from scipy import signal

    noise = rng.normal(size=N)
    noise[1:] *= np.sqrt(1 - memory**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], noise))


def _sectors(rng: np.random.Generator, N: int) -> np.ndarray:
    """Wind sectors that last about ten hours each, as numbers of `SECTORS`."""
    drawn = rng.integers(len(SECTORS), size=N)
    starts = rng.uniform(size=N) < 0.1
    starts[0] = True
    return drawn[np.maximum.accumulate(np.where(starts, np.arange(N), 0))]


def _weather(rng: np.random.Generator, hour: np.ndarray) -> dict[str, np.ndarray]:
    """Return the features of each hour, its wind sector, and the log PM2.5 made of them.

    Log PM2.5 = season + time of day + wind + humidity + mixing height + a slow residual. The
    residual and the mixing height cannot be seen; the lags tell something of both.
    """
    N = len(hour)
    day, year = 2 * np.pi * hour / 24, 2 * np.pi * hour / (24 * 365.25)

    def peak(of_day: float) -> np.ndarray:
        return np.cos(day - 2 * np.pi * of_day / 24)

    air, moisture, gusts, mixing, fast, residual = (
        _autoregressive(rng, N, memory) for memory in (0.985, 0.97, 0.93, 0.99, 0.9, 0.96)
    )
    sector = _sectors(rng, N)
    winter = np.cos(year)
    temperature = 13 - 15 * winter + 5 * peak(15) + 3.5 * air
    humidity = 1 / (1 + np.exp(0.1 + 0.5 * winter + 0.35 * peak(15) - 0.9 * moisture - 0.3 * air))
    wind = np.exp(0.9 + 0.2 * peak(14) - 0.25 * moisture + 0.55 * gusts)
    return {
        "temperature": temperature,
        "dew_point": temperature - 22 * (1 - humidity),
        "pressure": 1016 + 9 * winter - 4 * air - 2 * mixing + 0.8 * fast,
        "wind_speed": wind,
        "hour_sin": np.sin(day),
        "hour_cos": np.cos(day),
        "season_sin": np.sin(year),
        "season_cos": np.cos(year),
        "sector": sector,
        "log_pm25": 4.25
        + 0.4 * winter
        + 0.16 * peak(22)
        - 0.42 * np.log(wind / 2.5)
        + 1.5 * (humidity - 0.45)
        + np.array([-0.3, 0.1, 0.25, -0.05])[sector]
        + 0.22 * mixing
        + 0.42 * residual,
    }


def _pm25(seed: int) -> Dataset:
    oldest = max(LAGS)
    weather = _weather(np.random.default_rng(seed), np.arange(HOURS + oldest))
    sector = weather.pop("sector")
    pm25 = np.round(np.exp(weather.pop("log_pm25")), 1)
    lagged = {f"log_pm25_{lag}h_ago": np.log1p(np.roll(pm25, lag)) for lag in LAGS}
    features = {**weather, **lagged}
    scale = "china_hj633_2012"
    labels = cut("PM2.5", pm25[oldest:], aqi.edges(scale), aqi.names(scale))
    return numeric_dataset(
        "pm25",
        TITLES["pm25"],
        np.stack([*features.values()], axis=1)[oldest:],
        numeric_names=tuple(features),
        categorical=np.array(SECTORS, dtype=object)[sector[oldest:], None],
        categorical_names=("wind_sector",),
        **labels.fields(),
        time_ordered=True,
        horizon=min(LAGS),
        notes=(
            f"synthetic: {HOURS} hours made from seed {seed}, not measured anywhere.",
            "weather of the hour itself is known, PM2.5 only up to 3 hours before.",
            "the bands are meant for 24-hour means; on hourly values they serve as labels only.",
            *labels.notes,
        ),
    )


def _random(seed: int) -> Dataset:
    from sklearn.datasets import make_classification
    from sklearn.decomposition import PCA

    features, y = make_classification(
        10000,
        n_classes=2,
        weights=[0.9, 0.1],
        class_sep=1.2,
        n_features=5,
        n_informative=3,
        n_redundant=1,
        n_clusters_per_class=1,
        random_state=seed,
    )
    published = " (the published set)" if seed == 0 else ""
    return numeric_dataset(
        "random",
        TITLES["random"],
        PCA(2).fit_transform(features),
        y,
        ("negative", "positive"),
        task="binary",
        reward="f1",
        notes=(f"synthetic: make_classification and PCA of 2 components, seed {seed}{published}.",),
    )


def _imbalanced5(seed: int) -> Dataset:
    """Two Gaussian clouds per class around random centres in six dimensions."""
    rng = np.random.default_rng(seed)
    counts = (3000, 1000, 600, 250, 150)
    y = rng.permutation(np.repeat(np.arange(5), counts))
    centres = rng.normal(scale=1.3, size=[5, 2, 6])
    cloud = rng.integers(2, size=len(y))
    return numeric_dataset(
        "imbalanced5",
        TITLES["imbalanced5"],
        centres[y, cloud] + rng.normal(size=[len(y), 6]),
        y,
        [f"class {k}" for k in range(5)],
        task="multiclass",
        reward="f1_macro",
        notes=(
            f"synthetic: two Gaussian clouds per class, priors .6 .2 .12 .05 .03, seed {seed}.",
        ),
    )


def _multilabel(seed: int) -> Dataset:
    from sklearn.datasets import make_multilabel_classification

    features, y = make_multilabel_classification(
        n_samples=2000, n_features=20, n_classes=6, n_labels=2, random_state=seed
    )[:2]
    return numeric_dataset(
        "multilabel",
        TITLES["multilabel"],
        features,
        y,
        [f"label {k}" for k in range(6)],
        task="multilabel",
        reward="f1_samples",
        notes=(f"synthetic: make_multilabel_classification, seed {seed}.",),
    )


def _rare(name: str, share: float, rows: int, clusters: int) -> Callable[[int], Dataset]:
    def make(seed: int) -> Dataset:
        from sklearn.datasets import make_classification

        features, y = make_classification(
            rows,
            n_features=20,
            n_informative=6,
            n_redundant=2,
            n_clusters_per_class=clusters,
            weights=[1.0 - share],
            flip_y=0.0,
            random_state=seed,
        )
        return numeric_dataset(
            name,
            TITLES[name],
            features,
            y,
            ("negative", "positive"),
            task="binary",
            reward="f1",
            notes=(f"synthetic: make_classification, {rows} rows, seed {seed}.",),
        )

    return make


_MAKERS: dict[str, Callable[[int], Dataset]] = {
    "pm25": _pm25,
    "random": _random,
    "imbalanced5": _imbalanced5,
    "multilabel": _multilabel,
    "rare_1": _rare("rare_1", 0.01, 10_000, 1),
    "rare_1_clusters": _rare("rare_1_clusters", 0.01, 10_000, 4),
    "rare_03": _rare("rare_03", 0.003, 20_000, 2),
}
