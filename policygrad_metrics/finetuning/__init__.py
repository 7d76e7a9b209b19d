"""Fine-tuning a trained model on the metric (floor 4).

Read `tune.py` (what a person calls), then `validation.py` (what an epoch is worth).
"""

from policygrad_metrics.finetuning.tune import finetune
from policygrad_metrics.finetuning.validation import FineTuned

__all__ = ["FineTuned", "finetune"]
