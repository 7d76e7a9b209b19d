"""`python -m policygrad_metrics` is the command `policygrad` (floor 6)."""

from policygrad_metrics.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
