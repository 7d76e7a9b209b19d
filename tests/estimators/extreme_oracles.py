"""Expected rewards and their gradients in float64, with none of the package's numerics.

A metric is written down twice: as a score of a confusion matrix (`Metric.score`), which enumeration
uses, and as ratios of sums over examples (`Metric.ratios`), which `integral` uses. The tests hold
the one against the other, and both against a convolution and against 60-digit decimals.
"""

import dataclasses
import decimal
import itertools
from typing import Any

import numpy as np
import tensorflow as tf

import policygrad_metrics as pgm

#: How far apart the nodes are in log t, and the first node times the largest D. The rule errs by
#: exp(-pi^2 / step), relative, and takes what lies before the first node for a constant: 5e-15 and
#: 4e-14, for large batches 2e-11 and 1e-10.
STEP_AND_FIRST, OF_LARGE = (0.3, 2e-7), (0.4, 1e-5)
#: Numbers in a table of `integral`.
TABLE = 2**20


def sum_of_others(x, axis=-1):
    """The sum over an axis without the entry itself, and without a subtraction."""
    x = np.moveaxis(x, axis, -1)
    before = np.cumsum(x, -1) if x.shape[-1] else x
    after = np.cumsum(x[..., ::-1], -1)[..., ::-1]
    others = np.zeros_like(x)
    others[..., 1:] += before[..., :-1]
    others[..., :-1] += after[..., 1:]
    return np.moveaxis(others, -1, axis)


@dataclasses.dataclass(frozen=True)
class Ratios:
    """R ratios `(n0 + sum_i n_i) / (d0 + sum_i d_i)` over the choices J of N examples.

    p, n, d: `[R, N, J]`; n0, d0, and the value of 0/0: `[R]`.
    """

    p: Any
    n: Any
    d: Any
    n0: Any
    d0: Any
    zero: Any

    def broadcast(self):
        """Every field in its full shape."""
        p, n, d = np.broadcast_arrays(*(np.asarray(x, float) for x in (self.p, self.n, self.d)))
        return Ratios(p, n, d, *(np.zeros(len(p)) + x for x in (self.n0, self.d0, self.zero)))

    def above_floor(self):
        """The same ratios where every example has a choice with d = 0."""
        full = self.broadcast()
        floor = full.d.min(-1, keepdims=True)
        d0 = full.d0 + floor.sum((1, 2))
        return dataclasses.replace(full, d=full.d - floor, d0=d0)


def joined(ratios):
    """Ratios of several batches of one shape."""
    full = [dataclasses.astuple(x.broadcast()) for x in ratios]
    return Ratios(*(np.concatenate(field) for field in zip(*full, strict=True)))


def at_likeliest(x, p):
    return np.take_along_axis(x, np.broadcast_to(p.argmax(-1)[..., None], (*x.shape[:-1], 1)), -1)


def log_sum(p, part, rest):
    """log of the chance `part`, of which `rest` is the complement; exact near 0 and near 1."""
    with np.errstate(divide="ignore"):
        return np.where(part > 0.5, np.log1p(-np.minimum(rest, 0.5)), np.log(part))


def integral(ratios):
    """E[R] `[R]` and E[R | a_i = c] `[R, N, J]` minus that of the example's likeliest choice.

    1 / D = integral of exp(-t D) dt for D > 0, by the trapezoid rule in log t; P(D = 0) apart.
    """
    ratios = ratios.above_floor()
    p, d, d0 = ratios.p, ratios.d, ratios.d0
    smallest = np.where(d > 0, d, np.inf).min((1, 2))
    smallest = np.where(d0 > 0, d0, np.where(np.isfinite(smallest), smallest, 1.0))
    largest = np.maximum(d0 + d.max(-1).sum(-1), smallest)
    value, effects = np.zeros(len(p)), np.zeros(p.shape)
    step, first = STEP_AND_FIRST if p.shape[1] < 2_000 else OF_LARGE
    x = np.arange(np.log(first), np.log(50 * (largest / smallest).max()), step)
    nodes = max(1, TABLE // p.size)
    for start in range(0, len(x), nodes):
        t = np.exp(x[start : start + nodes])[:, None] / largest  # [Q, R]
        w = step * t
        if start == 0:
            w[0] /= -np.expm1(-step)
        some_value, some_effects, left = _at_nodes(ratios, t[..., None, None], w)
        value += some_value
        effects += some_effects
        if left < -80.0:  # nothing is left of exp(-t D), nor will be
            break
    empty = (d <= 0) & (d0 <= 0)[:, None, None]
    log_none = log_sum(p, (p * empty).sum(-1), (p * ~empty).sum(-1))  # [R, N]
    value += ratios.zero * np.exp(log_none.sum(-1))
    none = ratios.zero[:, None, None] * np.exp(sum_of_others(log_none))[..., None] * empty
    return value, effects + none - at_likeliest(none, p)


def _at_nodes(ratios, t, w):
    p, n, d = ratios.p, ratios.n, ratios.d
    E, x = np.exp(-t * d), np.expm1(-t * d)  # [Q, R, N, J]
    M = (p * E).sum(-1)
    log_m = log_sum(p, M, -(p * x).sum(-1))
    start = -t[..., 0] * ratios.d0[:, None]
    log_others = sum_of_others(log_m) + start
    others = np.exp(log_others)[..., None]
    r = (p * n * E).sum(-1) / np.maximum(M, 1e-300)
    total = ratios.n0[:, None, None] + sum_of_others(r)[..., None]
    weight = w[..., None, None]
    empty = (d <= 0) & (ratios.d0 <= 0)[:, None, None]
    if (empty & (n != 0)).any() or ((ratios.d0 <= 0) & (ratios.n0 != 0)).any():
        Q = np.where(empty, _beside_empty(ratios, E, empty, M, total), others * E * (total + n))
        Q = (weight * Q).sum(0)
        return (p * Q).sum(-1)[:, 0], Q - at_likeliest(Q, p), log_others.max()
    whole = np.exp(log_m.sum(-1) + start[..., 0]) * (ratios.n0 + r.sum(-1))
    own = n * E
    effects = others * ((x - at_likeliest(x, p)) * total + own - at_likeliest(own, p))
    return (w * whole).sum(0), (weight * effects).sum(0), log_others.max()


def _beside_empty(ratios, E, empty, M, total):
    """E[N exp(-t D); D > 0 | a_i = c] for a choice with d = 0, where N may be anything at D = 0."""
    p, n = ratios.p, ratios.n
    m0 = np.maximum((p * empty).sum(-1), 1e-300)
    r0 = (p * n * empty).sum(-1) / m0
    B, A = ((p * y * E * ~empty).sum(-1) for y in (1.0, n))
    log_none = sum_of_others(log_sum(p, m0, (p * ~empty).sum(-1)))
    none, rest = np.exp(log_none)[..., None], sum_of_others(np.log1p(B / m0))
    # exp(log none + rest) - exp(log none), without overflow where next to nothing is `none`.
    much = np.exp(log_none + np.maximum(rest, 1.0)) - np.exp(log_none)
    some = np.where(rest > 1.0, much, np.exp(log_none) * np.expm1(np.minimum(rest, 1.0)))
    return some[..., None] * (total + n) + none * sum_of_others((A - r0 * B) / M)[..., None]


def ratio(n, d, zero):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(d > 0, n / np.where(d > 0, d, 1.0), zero)


@dataclasses.dataclass(frozen=True)
class Metric:
    """A reward of the package, as formulas of its own.

    name: "f", "jaccard", "precision", "kappa", "own", or one of `LINEAR`; option: beta, or
    kappa's weights; average and labels as in the package; n0 of "own".
    """

    name: str
    option: Any = None
    average: str = "macro"
    labels: tuple[int, ...] | None = None
    zero: float = 0.0
    n0: float = 0.0

    def reward(self):
        """The package's reward."""
        averaged = {"average": self.average, "labels": self.labels, "zero_division": self.zero}
        if self.name == "f":
            return pgm.rewards.FBeta(beta=self.option, **averaged)
        if self.name in ("jaccard", "precision"):
            return {"jaccard": pgm.rewards.Jaccard, "precision": pgm.rewards.Precision}[self.name](
                **averaged
            )
        if self.name == "kappa":
            return pgm.rewards.CohenKappa(self.option, zero_division=self.zero)
        if self.name == "own":
            return pgm.rewards.RatioReward(self._tables, "own", zero_division=self.zero)
        return pgm.get_reward(self.name)

    def _tables(self, y, w, K):
        level = tf.range(K, dtype=tf.float32)
        near = tf.abs(level - tf.cast(y, tf.float32)[:, None]) <= 1.0
        d = w[:, None] * level
        return d * tf.cast(near, tf.float32), d, self.n0, 0.0

    def classes(self, K):
        if self.average == "binary":
            return (1,)
        return tuple(range(K)) if self.labels is None else self.labels

    def per_class(self, tp, predicted, true):
        """n and d of a class from (sums of) its true positives, calls and truths."""
        if self.name == "f":
            square = self.option**2
            return (1 + square) * tp, square * true + predicted
        return tp, predicted if self.name == "precision" else predicted + true - tp

    def score(self, C):
        """The metric of confusion matrices `[..., K, K]`, rows the truth."""
        C = np.asarray(C, float)
        K, true, predicted = C.shape[-1], C.sum(-1), C.sum(-2)
        hits = np.diagonal(C, axis1=-2, axis2=-1)
        if self.name in SCORES:
            return SCORES[self.name](C, hits, predicted, true)
        if self.name == "kappa":
            W = disagreement(self.option, K)
            chance = np.einsum("...t,...a,ta->...", true, predicted, W) / C.sum((-2, -1))
            return 1 - ratio((C * W).sum((-2, -1)), chance, 1 - self.zero)
        if self.name == "own":
            level = np.arange(K)
            near = np.abs(level[:, None] - level) <= 1
            n, d = (C * level * near).sum((-2, -1)), (C * level).sum((-2, -1))
            return ratio(self.n0 + n, d, self.zero)
        kept = list(self.classes(K))
        counts = [x[..., kept] for x in (hits, predicted, true)]
        if self.average == "micro":
            return ratio(*self.per_class(*(x.sum(-1) for x in counts)), self.zero)
        scores = ratio(*self.per_class(*counts), self.zero)
        if self.average == "weighted":
            return (ratio(counts[2], counts[2].sum(-1, keepdims=True), 0) * scores).sum(-1)
        return scores.mean(-1)

    def expectation(self, y, z, w=None):
        """E[R] and its gradient with respect to the logits z `[N, K]`."""
        return self.expectations([(y, z, w)])[0]

    def expectations(self, batches):
        """The same of several batches (y, z, w) of one shape, in one integral."""
        batches = [(y, np.ones(len(y)) if w is None else w.astype(float), z) for y, z, w in batches]
        batches = [(y, w, probabilities(z)) for y, w, z in batches]
        if self.name in LINEAR:
            found = [LINEAR[self.name](*batch) for batch in batches]
        else:
            of_choices = self.name in ("kappa", "own") or self.average == "micro"
            form = self._choices if of_choices else self._classes
            ratios = [form(*batch) for batch in batches]
            values, effects = integral(joined(ratios))
            R = len(values) // len(batches)
            parts = (x.reshape(-1, R, *x.shape[1:]) for x in (values, effects))
            put = self._one if of_choices else self._averaged
            found = [put(*batch, *part) for batch, *part in zip(batches, *parts, strict=True)]
        return [
            (value, policy_gradient(p, effects))
            for (_, _, p), (value, effects) in zip(batches, found, strict=True)
        ]

    def _choices(self, y, w, p):
        K, one = p.shape[-1], np.eye(p.shape[-1])
        n0, d0, zero = 0.0, 0.0, self.zero
        if self.name == "kappa":
            W, frequency = disagreement(self.option, K), w @ one[y] / w.sum()
            n, d, zero = w[:, None] * W[y], w[:, None] * (frequency @ W), 1 - zero
        elif self.name == "own":
            d = w[:, None] * np.arange(K)
            n, n0 = d * (np.abs(y[:, None] - np.arange(K)) <= 1), self.n0
        else:
            kept = np.isin(np.arange(K), self.classes(K)) * 1.0
            hits = w[:, None] * one[y] * kept
            d0 = self.per_class(0.0, 0.0, hits.sum())[1]
            n, d = self.per_class(hits, w[:, None] * kept, 0.0)
        return Ratios(p[None], n[None], d[None], n0, d0, zero)

    def _one(self, y, w, p, value, effects):
        if self.name == "kappa":
            return 1.0 - value[0], -effects[0]
        return value[0], effects[0]

    def _classes(self, y, w, p):
        kept = list(self.classes(p.shape[-1]))
        two = np.stack([sum_of_others(p)[:, kept], p[:, kept]], -1).swapaxes(0, 1)  # [R, N, 2]
        truth = (y == np.array(kept)[:, None]) * w  # [R, N]
        n, d = self.per_class(truth, w + 0 * truth, 0.0)
        n, d = (np.stack([0 * x, x], -1) for x in (n, d))
        return Ratios(two, n, d, 0.0, self.per_class(0.0, 0.0, truth.sum(-1))[1], self.zero)

    def _averaged(self, y, w, p, value, effects):
        kept = list(self.classes(p.shape[-1]))
        share = np.full(len(kept), 1 / len(kept))
        if self.average == "weighted":
            true = ((y == np.array(kept)[:, None]) * w).sum(-1)
            share = ratio(true, true.sum(), 0.0)
        called = np.zeros(p.shape)
        called[:, kept] = (share[:, None] * (effects[..., 1] - effects[..., 0])).T
        return share @ value, called


def probabilities(z):
    z = np.asarray(z, float)
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def policy_gradient(p, effects):
    effects = effects - at_likeliest(effects, p)
    return p * (effects - (p * effects).sum(-1, keepdims=True))


def disagreement(weights, K):
    distance = np.abs(np.arange(K)[:, None] - np.arange(K)) / (K - 1)
    return {None: (distance > 0) * 1.0, "linear": distance, "quadratic": distance**2}[weights]


def _recalls(hits, true):
    return ratio(hits, true, np.nan)


def _g_mean(C, hits, predicted, true):
    with np.errstate(divide="ignore"):
        return np.exp(np.nanmean(np.log(_recalls(hits, true)), -1))


def _matthews(C, hits, predicted, true):
    """Without s^2 - sum_k p_k^2, which cancels: it is sum_k p_k (s - p_k)."""
    s = C.sum((-2, -1))
    spread = [(x * sum_of_others(x)).sum(-1) for x in (predicted, true)]
    top = hits.sum(-1) * s - (predicted * true).sum(-1)
    return ratio(top, np.sqrt(spread[0] * spread[1]), 0.0)


def _levels(function):
    def score(C, hits, predicted, true):
        level = np.arange(C.shape[-1])
        gains = function(np.abs(level[:, None] - level))
        return (C * gains).sum((-2, -1)) / C.sum((-2, -1))

    def linear(y, w, p):
        gains = function(np.abs(y[:, None] - np.arange(p.shape[-1]))) * w[:, None] / w.sum()
        return (p * gains).sum(), gains

    return score, linear


def _class_recalls(absent):
    """The mean recall, over all classes (an absent one is worth 0) or over those that occur."""

    def linear(y, w, p):
        truth = np.eye(p.shape[-1])[y] * w[:, None]
        true = truth.sum(0)
        gains = ratio(truth, true, 0.0) / (len(true) if absent else (true > 0).sum())
        return (p * gains).sum(), gains

    return linear


_exact, _near, _error = (
    _levels(f) for f in (lambda x: (x == 0) * 1.0, lambda x: (x <= 1) * 1.0, lambda x: -1.0 * x)
)

#: Scores of (confusion, hits, predicted, true).
SCORES = {
    "accuracy": _exact[0],
    "within_1": _near[0],
    "neg_mean_level_error": _error[0],
    "recall_macro": lambda C, hits, predicted, true: ratio(hits, true, 0.0).mean(-1),
    "balanced_accuracy": lambda C, hits, predicted, true: np.nanmean(_recalls(hits, true), -1),
    "g_mean": _g_mean,
    "matthews_corrcoef": _matthews,
    "worst_class_recall": lambda C, hits, predicted, true: np.nanmin(_recalls(hits, true), -1),
}

#: Rewards without a denominator that depends on labels: (y, w, p) to value and effects.
LINEAR = {
    "accuracy": _exact[1],
    "within_1": _near[1],
    "neg_mean_level_error": _error[1],
    "recall_macro": _class_recalls(absent=True),
    "balanced_accuracy": _class_recalls(absent=False),
}


def confusion(y, labels, w, K):
    """Confusion matrices `[S, K, K]` in float64 of label sets `[S, N]`."""
    one = np.eye(K)
    return np.einsum("nt,sna->sta", one[y] * np.asarray(w, float)[:, None], one[labels])


def enumeration(metric, y, z, w=None):
    """E[R] and its gradient by visiting all K^N label sets."""
    p, (N, K) = probabilities(z), np.shape(z)
    labels = np.array(list(itertools.product(range(K), repeat=N)))
    w = np.ones(N) if w is None else w
    scores = metric.score(confusion(y, labels, w, K))
    chosen = p[np.arange(N), labels]  # [S, N]
    effects = np.zeros((N, K))
    for i, c in itertools.product(range(N), range(K)):
        here = labels[:, i] == c
        effects[i, c] = (np.delete(chosen[here], i, 1).prod(1) * scores[here]).sum()
    return (chosen.prod(1) * scores).sum(), policy_gradient(p, effects)


def decimals(metric, y, z, w, digits=60):
    """The same with so many digits, for binary metrics whose score is a plain TP, FP, FN ratio."""
    with decimal.localcontext() as context:
        context.prec = digits
        D = decimal.Decimal
        weights = [D(float(x)) for x in w]
        e = [[D(float(x)).exp() for x in row] for row in z]
        p = [[x / sum(row) for x in row] for row in e]
        true = sum((x for x, t in zip(weights, y, strict=True) if t), D(0))
        effects = [[D(0)] * 2 for _ in y]
        for labels in itertools.product((0, 1), repeat=len(y)):
            called = [x * a for x, a in zip(weights, labels, strict=True)]
            hits = sum((x for x, t in zip(called, y, strict=True) if t), D(0))
            if metric.name == "f":
                square = D(metric.option) ** 2
                n, d = (1 + square) * hits, square * true + sum(called)
            else:
                n, d = metric.per_class(hits, sum(called), true)
            score = n / d if d else D(metric.zero)
            for i, a in enumerate(labels):
                chance = D(1)
                for j, b in enumerate(labels):
                    chance *= D(1) if i == j else p[j][b]
                effects[i][a] += chance * score
        value = sum(x * q for x, q in zip(p[0], effects[0], strict=True))
        slope = [q[0] * q[1] * (f[1] - f[0]) for q, f in zip(p, effects, strict=True)]
        return float(value), np.array([[-float(s), float(s)] for s in slope])


def convolution(metric, y, p):
    """E[R] of a metric of class 1's unweighted counts: hits and false calls are independent."""

    def counts(chances):
        distribution = np.ones(1)
        for q in chances:
            distribution = np.convolve(distribution, [1 - q, q])
        return distribution

    hits, false = counts(p[y == 1]), counts(p[y == 0])
    a, b = np.arange(len(hits))[:, None], np.arange(len(false))
    score = ratio(*metric.per_class(a, a + b, (y == 1).sum()), metric.zero)
    return hits @ score @ false
