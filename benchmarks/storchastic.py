"""Side by side with storchastic (torch): relative mean squared error per reward call and per time.

    python benchmarks/storchastic.py [--json] [--quick]

One problem, one reward, one machine, one process: macro-F1, B = 256, K = 2 and 6, random logits,
the rarest class 2 % of the truth. Both sides return the gradient of the expected reward with
respect to the logits. The truth is neither's: a float64 convolution of the counts' distributions.
The error is E|g - truth|^2 / |truth|^2 over draws. "At equal time" is the error that is left when
gradients are averaged for as long as our exact one takes: error * (time of one / time of the exact
one), as the error of an unbiased estimator falls like 1 / draws.

Of storchastic (`pip install "policygrad-metrics[bench]"`) unbiased estimators are run through its
public interface, with one thread and with all, and the faster counts; one that fails on this
problem is listed with its error. Without torch and storchastic the benchmark says so and ends.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

B, S = 256, 16


def problem(K: int) -> tuple[np.ndarray, np.ndarray]:
    """A truth whose last class is rare, and random logits (the toy of `policygrad variance`)."""
    import policygrad_metrics as pgm

    y_true, logits = pgm.study.diagnostics.toy_problem(B, K)
    return y_true, logits.numpy()


def true_gradient(y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The gradient of E[macro-F1] in float64: F1 over the distributions of TP and FP."""
    exponential = np.exp(logits.astype(np.float64))
    p = exponential / exponential.sum(axis=1, keepdims=True)
    effects = np.zeros_like(p)
    for k in range(p.shape[1]):
        groups = [np.flatnonzero(y_true == k), np.flatnonzero(y_true != k)]
        right, wrong = np.arange(len(groups[0]) + 1), np.arange(len(groups[1]) + 1)
        f1 = 2.0 * right[:, None] / (len(groups[0]) + right[:, None] + wrong)
        counts = [_count_distribution(p[rows, k]) for rows in groups]
        for own, table, other in ((0, f1, counts[1]), (1, f1.T, counts[0])):
            # What one more of the own group is worth, whatever the other group does.
            gain = np.diff(table @ other)
            for i in groups[own]:
                others = groups[own][groups[own] != i]
                effects[i, k] = _count_distribution(p[others, k]) @ gain / p.shape[1]
    return p * (effects - (p * effects).sum(axis=1, keepdims=True))


def _count_distribution(chances: np.ndarray) -> np.ndarray:
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, [1.0 - chance, chance])
    return distribution


def ours(y_true: np.ndarray, logits: np.ndarray, draws: int):
    """Rows of our estimators: name, reward calls, gradients, seconds for one."""
    import tensorflow as tf

    import policygrad_metrics as pgm

    reward, given = pgm.get_reward("f1_macro"), tf.constant(logits)
    for name, estimator, calls in (
        ("exact", pgm.estimators.ExactExpectation(), 0),
        ("local expectation, S = 4", pgm.estimators.LocalExpectation(4), 4),
        (f"leave-one-out, S = {S}", pgm.estimators.Reinforce(S), S),
    ):

        @tf.function(jit_compile=True)
        def gradient(logits, seed, estimator=estimator):
            return estimator(logits, reward, y_true, seed=seed).gradient

        def draw(index, gradient=gradient):
            return gradient(given, tf.constant([index, 0])).numpy()

        yield {"library": "this package", "estimator": name}, calls, *timed(draw, draws)


def theirs(y_true: np.ndarray, logits: np.ndarray, draws: int):
    """Rows of storchastic's estimators; None for gradients and seconds of one that fails."""
    import storch
    import torch
    from torch.distributions import OneHotCategorical

    truth = torch.nn.functional.one_hot(torch.tensor(y_true), logits.shape[-1]).float()

    @storch.deterministic
    def f1_macro(labels):  # one-hot, [S, B, K]
        hits = (labels * truth).sum(-2)
        return (2.0 * hits / (labels.sum(-2) + truth.sum(0))).mean(-1)

    methods = {
        f"score function, S = {S}": lambda: storch.method.ScoreFunction(
            "labels", n_samples=S, baseline_factory=None
        ),
        f"score function, leave-one-out, S = {S}": lambda: storch.method.ScoreFunction(
            "labels", n_samples=S, baseline_factory="batch_average"
        ),
        f"unordered set, S = {S}": lambda: storch.method.UnorderedSetEstimator("labels", k=S),
    }
    for name, make in methods.items():
        method = make()

        def draw(index, method=method):
            torch.manual_seed(index)
            parameters = torch.tensor(logits, requires_grad=True)
            storch.add_cost(f1_macro(method(OneHotCategorical(logits=parameters))), "f1_macro")
            storch.backward()
            gradient = parameters.grad.detach().numpy().copy()
            parameters.grad = None
            return gradient

        row = {"library": "storchastic", "estimator": name}
        seconds, gradients = [], None
        all_threads = torch.get_num_threads()
        try:
            for threads in dict.fromkeys((1, all_threads)):
                torch.set_num_threads(threads)
                gradients, median = timed(draw, draws)
                seconds.append(median)
        except Exception as error:  # whatever it raises is the finding
            storch.reset()
            yield row | {"failed": f"{type(error).__name__}: {error}"[:120]}, S, None, None
            continue
        finally:
            torch.set_num_threads(all_threads)
        yield row, S, gradients, min(seconds)


def timed(draw, draws: int) -> tuple[np.ndarray, float]:
    """Gradients `[draws, B, K]`, and the median seconds of one."""
    draw(0)
    gradients, seconds = [], []
    for index in range(1, draws + 1):
        start = time.perf_counter()
        gradients.append(draw(index))
        seconds.append(time.perf_counter() - start)
    return np.stack(gradients).astype(np.float64), statistics.median(seconds)


def measure(K: int, draws: int) -> list[dict]:
    """The rows of both libraries on one problem."""
    y_true, logits = problem(K)
    truth = true_gradient(y_true, logits)
    rows, exact_seconds = [], None
    for source in (ours, theirs):
        for row, calls, gradients, seconds in source(y_true, logits, draws):
            row = {"K": K, **row, "reward_calls": calls}
            rows.append(row)
            if gradients is None:
                continue
            exact_seconds = exact_seconds or seconds  # the first row is the exact one
            error = float(((gradients - truth) ** 2).sum(axis=(1, 2)).mean() / (truth**2).sum())
            row |= {
                "milliseconds": 1e3 * seconds,
                "error": error,
                "error_times_calls": error * calls,
                "error_times_milliseconds": error * 1e3 * seconds,
                "error_at_equal_time": error * seconds / exact_seconds,
            }
    return rows


def advantage(rows: list[dict]) -> float:
    """How many times lower our exact error is than their best at equal time."""
    at = {"this package": [], "storchastic": []}
    for row in rows:
        if "error" in row:
            at[row["library"]].append(row["error_at_equal_time"])
    return min(at["storchastic"]) / min(at["this package"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="16 draws instead of 512")
    options = parser.parse_args()
    missing = [name for name in ("torch", "storch") if importlib.util.find_spec(name) is None]
    if missing:
        print(json.dumps({"skipped": f"not installed: {', '.join(missing)}; see the extra bench"}))
        return
    # Torch warns of a reference cycle in storchastic's backward pass; it is cut above.
    warnings.filterwarnings("ignore", message="Using backward", category=UserWarning)
    rows, advantages = [], {}
    for K in (2, 6):
        found = measure(K, 16 if options.quick else 512)
        rows += found
        advantages[f"K={K}"] = advantage(found)
    if options.json:
        print(json.dumps({"B": B, "rows": rows, "advantage_at_equal_time": advantages}))
        return
    for row in rows:
        what = f"K={row['K']}  {row['library']:12}  {row['estimator']:38}"
        if "failed" in row:
            print(f"{what}  fails: {row['failed']}")
            continue
        print(
            f"{what}  {row['reward_calls']:3} calls  {row['milliseconds']:6.2f} ms  "
            f"error {row['error']:.1e}  x calls {row['error_times_calls']:.1e}  "
            f"x ms {row['error_times_milliseconds']:.1e}  "
            f"at equal time {row['error_at_equal_time']:.1e}"
        )
    for name, times in advantages.items():
        print(f"{name}: at equal time our error is {times:.1e} times lower than their best")


if __name__ == "__main__":
    main()
