"""The constants of the error bound of n quadrature nodes (docs/mathematics.md, section 4).

    python benchmarks/quadrature.py [--json] [--quick]

The nodes replace 1 / D by a sum of exponentials s(D). With e(D) = D s(D) - 1, printed are the
largest |e| and |D e'| over D / mean in a range, in float64: `value` bounds the error of E[R] and
`slope`, with it, that of the gradient. "counts" is the Gauss-Legendre rule of denominators that are
counts, for means so large that its scale is 1.25 nodes / mean; "other" is the rule evenly spaced in
log t.
"""

from __future__ import annotations

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from policygrad_metrics.estimators.quadrature import gauss_legendre, log_trapezoid

#: Rule -> (its nodes and weights, scale times mean for n nodes, the node counts, the ranges).
RULES = {
    "counts": (gauss_legendre, lambda n: 1.25 * n, (4, 6, 8, 12, 16), ((0.5, 2.0), (0.25, 4.0))),
    "other": (log_trapezoid, lambda n: 1.0, (12, 16, 20, 24, 32), ((0.5, 2.0), (0.01, 10.0))),
}


def bounds(rule: str, nodes: int, low: float, high: float, points: int) -> tuple[float, float]:
    """Largest |e| and |D e'| for D from low to high, in units of the mean."""
    make, scale, *_ = RULES[rule]
    t, w = (scale(nodes) * np.asarray(x) for x in make(nodes))
    d = np.geomspace(low, high, points)[:, None]
    decay = w * np.exp(-t * d)
    error = (d * decay).sum(axis=1) - 1.0
    slope = (d * decay * (1.0 - t * d)).sum(axis=1)
    return float(np.abs(error).max()), float(np.abs(slope).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="500 points instead of 20,000")
    options = parser.parse_args()
    rows = []
    for rule, (_, _, counts, ranges) in RULES.items():
        for nodes in counts:
            for low, high in ranges:
                value, slope = bounds(rule, nodes, low, high, 500 if options.quick else 20_000)
                rows.append({"rule": rule, "nodes": nodes, "low": low, "high": high,
                             "value": value, "slope": slope})  # fmt: skip
    if options.json:
        print(json.dumps({"rows": rows}))
        return
    for row in rows:
        print(f"{row['rule']:7} {row['nodes']:3} nodes, D / mean from {row['low']:6g} to "
              f"{row['high']:4g}: value {row['value']:.0e}, slope {row['slope']:.0e}")  # fmt: skip


if __name__ == "__main__":
    main()
