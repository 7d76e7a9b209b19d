"""From probabilities to labels: decisions tuned to a reward on held-out data.

Read `tuner.py` (what a person uses), `rules.py` (what a decision is), then the searches:
`sweeps.py` (thresholds, offsets, cut-points), `frank_wolfe.py`, `expected_f.py`. `scorer.py` asks a
reward for the scores of thousands of candidates at once. `paths.py` chooses the candidates.
"""

from policygrad_metrics.decision.rules import Rule, plain_rule
from policygrad_metrics.decision.tuner import METHODS, DecisionTuner, can_tune

__all__ = ["METHODS", "DecisionTuner", "Rule", "can_tune", "plain_rule"]
