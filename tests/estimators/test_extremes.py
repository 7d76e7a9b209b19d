"""Numbers at the extremes: values and gradients against the float64 oracles of `extreme_oracles`.

What docs/mathematics.md promises of the exact expectation is asserted here over batch sizes 1 to
100,003, up to 500 classes, logits of scale .01 to 60 and weights over twelve orders of magnitude.
Every logit is a multiple of 2^-14 below 2^9: differences of logits are exact in float32, so that
what is measured is the estimator and not the rounding of a gap that was given.
"""

import dataclasses
import functools
import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from extreme_oracles import LINEAR, Metric, convolution, decimals, enumeration, probabilities

import policygrad_metrics as pgm

#: Of the gradient's 2-norm, without weights and with them: what docs/mathematics.md promises.
GRADIENT, WEIGHTED_GRADIENT = 2e-6, 4e-6
#: The same for kinds in which a site's chance may be 1e4 times another's: an effect is right to
#: some 1e-7 of the reward's range, which is more of the gradient where the likelier site has none.
LOOSER = {"decided, weights": 3e-5}
#: A class that is left less than this share of a site by another is beyond float32's 1 - p.
SATURATED = 2.0**-24
#: Of values of up to 1: some 16 roundings of 2^-24 to float32.
VALUE = 1e-6
#: A gradient that is zero but for rounding is held to this share of what p (1 - p) / N adds up to.
NOTHING = 1e-6
#: Below this 2-norm numbers of a gradient leave float32 (1.2e-38), or their squares do.
SMALLEST = 1e-30

METRICS = {
    "f1": Metric("f", 1.0, "binary"),
    "f0.1": Metric("f", 0.1, "binary", zero=1.0),
    "f0.1_macro": Metric("f", 0.1),
    "f0.5_weighted": Metric("f", 0.5, "weighted", zero=1.0),
    "f1_macro": Metric("f", 1.0),
    "f1_macro_zero_1": Metric("f", 1.0, zero=1.0),
    "f2_micro": Metric("f", 2.0, "micro", (1, 2)),
    "jaccard": Metric("jaccard", average="binary", zero=1.0),
    "jaccard_macro": Metric("jaccard"),
    "jaccard_weighted": Metric("jaccard", average="weighted", zero=1.0),
    "jaccard_micro": Metric("jaccard", average="micro", labels=(0, 2), zero=1.0),
    "precision": Metric("precision", average="binary"),
    "precision_macro": Metric("precision"),
    "precision_macro_zero_1": Metric("precision", zero=1.0),
    "precision_weighted": Metric("precision", average="weighted"),
    "precision_micro": Metric("precision", average="micro", labels=(1, 2)),
    "kappa": Metric("kappa"),
    "kappa_linear": Metric("kappa", "linear", zero=1.0),
    "kappa_quadratic": Metric("kappa", "quadratic"),
    "own_ratio": Metric("own"),
    "own_ratio_zero_1": Metric("own", zero=1.0),
    "own_ratio_of_one": Metric("own", n0=1.0, zero=0.5),
    "accuracy": Metric("accuracy"),
    "within_1": Metric("within_1"),
    "neg_mean_level_error": Metric("neg_mean_level_error"),
    "recall_macro": Metric("recall_macro"),
    "balanced_accuracy": Metric("balanced_accuracy"),
}


def classes(name):
    return 2 if METRICS[name].average == "binary" else 4


@dataclasses.dataclass(frozen=True)
class Case:
    """One batch: truth `[N]`, float32 logits `[N, K]`, float32 weights `[N]` or None."""

    kind: str
    y: Any
    z: Any
    w: Any = None

    def __str__(self):
        weights = "none" if self.w is None else f"{self.w.min():.1e} to {self.w.max():.1e}"
        N, K = self.z.shape
        return f"{self.kind}: N={N}, K={K}, scale={np.abs(self.z).std():.2g}, weights {weights}"


def gridded(z):
    return (np.round(np.asarray(z) * 2**14) / 2**14).astype(np.float32)


def _normal(scale):
    return lambda rng, N, K: rng.normal(size=(N, K)) * scale


def _any_scale(rng, N, K):
    return rng.normal(size=(N, K)) * rng.choice([0.01, 0.3, 1.0, 4.0, 15.0, 60.0])


def _decided(rng, N, K):
    """Every p of class 1 is below 3e-8, by gaps from 17 to 40."""
    z = rng.normal(size=(N, K))
    z[:, 1] = z.max(1) - rng.uniform(17.4, rng.choice([18.0, 25.0, 40.0]), N)
    return z


def _few_calls(rng, N, K):
    """Of class 1 some two calls are expected in the batch."""
    z = rng.normal(size=(N, K))
    z[:, 1] -= np.log(N)
    return z


def _one_light_positive(rng, y):
    y[:] = np.where(y == 1, 0, y)
    y[rng.integers(len(y))] = 1
    return np.where(y == 1, 1.0, 1e4)


#: kind -> (logits of (rng, N, K), weights of (rng, y), classes that are left out of the truth).
KINDS = {
    "ordinary": (_normal(1.0), None, 0),
    "any scale": (_any_scale, None, 0),
    "decided": (_decided, None, 0),
    "few calls": (_few_calls, None, 0),
    "absent class": (_any_scale, None, 1),
    "one class": (_normal(1.0), None, 9),
    "gamma weights": (_any_scale, lambda rng, y: rng.gamma(1.0, size=len(y)) + 0.05, 0),
    "lognormal weights": (_normal(1.0), lambda rng, y: np.exp(2 * rng.normal(size=len(y))), 0),
    "class weights": (_normal(2.0), lambda rng, y: np.where(y == 1, 1000.0, 1.0), 0),
    "inverse class weights": (_normal(2.0), lambda rng, y: np.where(y == 1, 1.0, 1000.0), 0),
    "one light positive": (_normal(1.0), _one_light_positive, 0),
    "decided, weights": (_decided, lambda rng, y: np.exp(2 * rng.normal(size=len(y))), 0),
    "twelve orders": (_normal(1.0), lambda rng, y: 10.0 ** rng.uniform(-6, 6, len(y)), 0),
}

#: Kinds whose smallest denominators no number of nodes need reach: right, or a warning.
MAY_WARN = ("twelve orders",)


def case(kind, N, K, seed):
    rng = np.random.default_rng([seed, N, K, list(KINDS).index(kind)])
    logits, weights, absent = KINDS[kind]
    # Class 1 is there, in a share of 2 to 50 %, unless it is left out.
    present = np.delete(np.arange(K), range(1, min(1 + absent, K)))
    y = rng.choice(present, N)
    if not absent:
        y[rng.random(N) < rng.choice([0.02, 0.2, 0.5])] = 1
        y[:1] = 1
    w = None if weights is None else weights(rng, y).astype(np.float32)
    return Case(kind, y.astype(np.int32), gridded(logits(rng, N, K)), w)


def estimate(reward, z, y, w=None):
    found = pgm.estimators.ExactExpectation()(z, reward, y, sample_weight=w)
    return found.value, found.gradient


def eager(reward, *batches):
    return [estimate(reward, *batch) for batch in zip(*batches, strict=True)]


def xla(reward, *batches):
    found = _compiled(reward)(*(tf.constant(np.stack(x)) for x in batches))
    return list(zip(*(x.numpy() for x in found), strict=True))


@functools.lru_cache(maxsize=4)
def _compiled(reward):
    """One program for batches of one shape, whatever is in them."""

    @tf.function(jit_compile=True, autograph=False)
    def run(*batches):
        kinds = (tf.float32, tf.float32)
        return tf.map_fn(lambda x: estimate(reward, *x), batches, fn_output_signature=kinds)

    return run


MODES = {"eager": eager, "xla": xla}


def check(name, cases, modes=("eager",), rounding=False):
    """Hold all cases, of any shapes, to what is allowed of the named (or given) metric.

    With `rounding` they are allowed what float32 costs in any case (`of_rounding`).
    """
    metric, groups = METRICS[name] if isinstance(name, str) else name, {}
    for each in cases:
        groups.setdefault((each.z.shape, each.w is None), []).append(each)
    wrong = sorted(
        (x for g in groups.values() for x in _excesses(metric, g, modes, rounding)), reverse=True
    )
    if wrong:
        lines = [f"{times:.3g} times what is allowed: {text}" for times, text in wrong[:5]]
        head = f"{name}: {len(wrong)} of {len(cases) * len(modes)} cases are off."
        pytest.fail("\n".join([head, *lines]), pytrace=False)


def _excesses(metric, cases, modes, rounding):
    """Errors above what is allowed, as multiples of it, of cases of one shape."""
    truths = metric.expectations([(x.y, x.z, x.w) for x in cases])
    batches = [[x.z for x in cases], [x.y for x in cases], [x.w for x in cases]]
    for mode in modes:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = MODES[mode](metric.reward(), *batches[: 2 if cases[0].w is None else 3])
        warned = [str(x.message) for x in said if "weight" in str(x.message)]
        kinds = {x.kind for x in cases}
        assert not warned or kinds & set(MAY_WARN), f"{kinds}: needless warning: {warned[0]}"
        for each, (value, gradient), (got, slope) in zip(cases, truths, found, strict=True):
            if warned and each.kind in MAY_WARN:
                continue
            size, p = np.linalg.norm(gradient), probabilities(each.z)
            natural = np.linalg.norm(p * (1 - p)) / len(each.y)
            nothing = NOTHING * natural if size < 1e-6 * natural else 0.0
            promise = LOOSER.get(each.kind, GRADIENT if each.w is None else WEIGHTED_GRADIENT)
            allowed = max(promise * size, nothing, SMALLEST)
            allowed += of_rounding(p, gradient) if rounding else 0.0
            beyond = 1.0 - p.max(axis=1) < SATURATED
            allowed += 2.0 * np.linalg.norm((p * (1 - p))[beyond])  # an effect of either sign
            error = np.linalg.norm(np.asarray(slope, float) - gradient)
            times = max(abs(got - value) / (VALUE * max(1.0, abs(value))), error / allowed)
            if not times <= 1.0:  # NaN is no number at all
                text = f"value {got:.8g} for {value:.8g}, gradient of {size:.2e} off by {error:.2e}"
                yield (float(times) if times > 1.0 else np.inf), f"{mode}, {each}: {text}"


def of_rounding(p, gradient):
    """An error of the gradient that follows from float32 alone.

    Effects are right to `NOTHING` of the reward's range. And 1 + z, the chance of a site that its
    effect is divided by, is as small as 1 - p, but rounded to 2^-24 of 1: what a site has of the
    gradient is right to 2^-24 / (1 - p) of itself, p being the chance of its likeliest class.
    """
    lost = SATURATED / np.maximum(1.0 - p.max(axis=1, keepdims=True), SATURATED)
    return NOTHING * np.linalg.norm(p * (1 - p)) / len(p) + np.linalg.norm(lost * gradient)


# The oracles against one another.


@pytest.mark.parametrize("name", METRICS)
def test_the_integral_equals_enumeration(name):
    K = min(3, classes(name))
    for seed, kind in enumerate(KINDS):
        batch = case(kind, 1 + seed % 5, K, seed)
        value, gradient = METRICS[name].expectation(batch.y, batch.z, batch.w)
        truth, slope = enumeration(METRICS[name], batch.y, batch.z, batch.w)
        assert value == pytest.approx(truth, rel=1e-11, abs=1e-13), batch
        # A gradient that is zero is what the rule's error leaves of p (1 - p).
        p = probabilities(batch.z)
        allowed = 1e-11 * np.linalg.norm(slope) + 1e-12 * np.linalg.norm(p * (1 - p))
        assert np.linalg.norm(gradient - slope) < allowed, batch


@pytest.mark.parametrize("name", ["f1", "f0.1", "jaccard", "precision"])
def test_the_integral_equals_sixty_digits(name):
    y = np.array([1, 0, 0, 1, 0, 1, 0])
    gaps = np.array([-17, -20, -25, -30, -18, -40, -17.5])
    w = 10.0 ** np.array([-6, 6, 3, 0, -2, 5, 1])
    for scale in (1.0, -1.0, 0.05):
        z = np.stack([np.zeros(7), gaps * scale], 1)
        value, gradient = METRICS[name].expectation(y, z, w)
        truth, slope = decimals(METRICS[name], y, z, w)
        assert value == pytest.approx(truth, rel=1e-13)
        assert np.linalg.norm(gradient - slope) < 1e-13 * np.linalg.norm(slope)


@pytest.mark.parametrize("name", ["f1", "f0.1", "jaccard", "precision"])
def test_the_integral_equals_a_convolution(name):
    metric = METRICS[name]
    for kind in ("ordinary", "few calls", "decided"):
        batch = case(kind, 301, 2, 0)
        value, gradient = metric.expectation(batch.y, batch.z)
        p = probabilities(batch.z)[:, 1]
        assert value == pytest.approx(convolution(metric, batch.y, p), rel=1e-12)
        for i in (0, 150, 300):
            on, off = p.copy(), p.copy()
            on[i], off[i] = 1.0, 0.0
            effect = convolution(metric, batch.y, on) - convolution(metric, batch.y, off)
            assert gradient[i, 1] == pytest.approx(p[i] * (1 - p[i]) * effect, rel=1e-9)


# The exact expectation against the oracles.


def small_batches():
    """Each metric meets every fourth kind; the rest is left to the slow tests."""
    for i, name in enumerate(METRICS):
        for j, kind in enumerate(KINDS):
            marks = pytest.mark.slow if (i + j) % 4 else ()
            size = (1, 5, 17, 60)[(i + j // 2) % 4]
            yield pytest.param(name, kind, size, id=f"{name}-{kind}", marks=marks)


@pytest.mark.few(30)
@pytest.mark.parametrize(("name", "kind", "size"), list(small_batches()))
def test_small_batches(name, kind, size):
    # Between missed and false positives of F0.1 lies a factor of 100: of two examples, one of them
    # all but certain, its gradient is what rounding leaves of 1 - p.
    cases = [case(kind, N, classes(name), N) for N in (2, size)]
    check(name, cases, rounding=name == "f0.1")


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_batches_of_hundreds(name):
    start = list(METRICS).index(name) % 3
    kinds = list(KINDS)[start::3]
    check(name, [case(kind, N, classes(name), 0) for kind in kinds for N in (203, 509)])


def compiled_cases(name, sizes, copies):
    kinds = [kind for kind in KINDS if kind not in MAY_WARN]  # there is no warning from XLA
    return [case(k, N, classes(name), s) for N in sizes for k in kinds for s in range(copies)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["precision_macro_zero_1", "kappa_quadratic"])
def test_under_xla(name):
    check(name, compiled_cases(name, [13], 5), ["xla"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, x in METRICS.items() if x.name not in LINEAR])
def test_tens_of_thousands_of_cases(name):
    size = (3, 5, 7, 11)[list(METRICS).index(name) % 4]
    # Of so many draws some gradients are small differences of large terms.
    check(name, compiled_cases(name, [size], 100), ["xla"], rounding=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "K", "N"),
    [
        pytest.param("f1", 2, 10_007, marks=pytest.mark.slow),
        pytest.param("precision", 2, 65_521, marks=pytest.mark.slow),
        ("kappa_quadratic", 3, 1_003),
        pytest.param("kappa_quadratic", 3, 100_003, marks=pytest.mark.slow),
        pytest.param("balanced_accuracy", 3, 100_003, marks=pytest.mark.slow),
        pytest.param("within_1", 3, 100_003, marks=pytest.mark.slow),
        pytest.param("f1_macro", 3, 100_003, marks=pytest.mark.slow),
        pytest.param("precision_macro_zero_1", 3, 100_003, marks=pytest.mark.slow),
        pytest.param("jaccard_weighted", 3, 50_021, marks=pytest.mark.slow),
        pytest.param("own_ratio", 4, 100_003, marks=pytest.mark.slow),
    ],
)
def test_large_batches(name, K, N):
    kinds = ("ordinary", "few calls", "decided")
    check(name, [case(kind, N, K, 0) for kind in kinds], MODES)


#: N, K, kind.
MANY = ((103, 60, "any scale"), (31, 500, "ordinary"), (31, 300, "class weights"))


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["f1_macro", "precision_macro", "kappa"])
def test_many_classes(name):
    check(name, [case(kind, N, K, 0) for N, K, kind in MANY])


# The numbers.


def test_kappa_of_chance_is_zero_in_a_large_batch():
    """It was -1.04e-4: 50,000 shares of 1/N were added in one float32 sum."""
    reward, y = pgm.rewards.CohenKappa("quadratic"), np.arange(50_000) % 3
    found = pgm.estimators.ExactExpectation()(tf.zeros([50_000, 3]), reward, y)
    assert abs(float(found.value)) < VALUE


def test_a_light_positive_among_heavy_negatives():
    """Precision was .0089 for .0300: D = 1 is 1 / 10,000 of its mean."""
    z, y = gridded([[0.0, -1.75]] * 11), np.eye(11, dtype=np.int32)[4]
    w = np.where(y == 1, 1.0, 1e4).astype(np.float32)
    assert METRICS["precision"].expectation(y, z, w)[0] == pytest.approx(0.03, abs=5e-4)
    for name in ("precision", "f1", "f0.1", "jaccard", "kappa"):
        modes = MODES if name == "precision" else ["eager"]
        check(name, [Case("one light positive", y, z, w)], modes)


@pytest.mark.slow
def test_no_call_at_all_in_a_large_batch():
    """P(D = 0) is a product of 65,521 factors, each of which rounds; it was off by 4e-4."""
    batch = case("few calls", 65_521, 2, 0)
    p = probabilities(batch.z)[:, 1]
    assert 0.05 < np.exp(np.log1p(-p).sum()) < 0.5
    check(Metric("precision", average="binary", zero=1.0), [batch])


@pytest.mark.few(1)
@pytest.mark.parametrize("gap", [17.0, 25.0, 40.0])
def test_a_class_that_is_decided_against_keeps_its_direction(gap):
    """1 - p is 1 in float32: the chance that nobody is called took the whole gradient along."""
    z = gridded(np.stack([np.zeros(33), -gap - np.arange(33) / 32], 1))
    y = (np.arange(33) % 3 == 0).astype(np.int32)
    for name in ("precision", "f1", "f0.1", "jaccard"):
        check(name, [Case("decided", y, z)], MODES if name == "precision" else ["eager"])


@pytest.mark.slow
@pytest.mark.parametrize("zero", [0.0, 0.5])
def test_a_numerator_that_is_not_zero_where_the_denominator_is(zero):
    """Nothing in the docstring forbids it: 0 calls are worth `zero_division`, whatever n0 is."""
    metric = Metric("own", n0=1.0, zero=zero)
    check(metric, [case("ordinary", 7, 3, s) for s in range(20)], ["xla"] if zero else ["eager"])
    check(metric, [case("ordinary", N, 3, 0) for N in (1, 2, 60)])
    check(metric, [case("few calls", N, 2, 0) for N in (7, 203)])


@pytest.mark.few(1)
@pytest.mark.parametrize("gap", [86.0, 95.0, 110.0])
def test_an_absent_class_that_nobody_can_be_given_is_no_nan(gap):
    """F1 of it was NaN for gaps from 84 to 87, where p is a denormal number, if weights came."""
    z, y, w = gridded([[0.0, -gap]] * 3), np.zeros(3, np.int32), np.ones(3, np.float32)
    for name in ("f1", "f1_macro", "jaccard", "precision", "kappa"):
        check(name, [Case("absent class", y, z, w)], MODES if name == "f1" else ["eager"])
