"""Saved models: loading them with this package's classes, and exporting decisions for serving."""

from policygrad_metrics.saving.loading import load_model
from policygrad_metrics.saving.serving import DecisionLayer, export_decision

__all__ = ["DecisionLayer", "export_decision", "load_model"]
