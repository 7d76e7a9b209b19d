"""`python -m policygrad_metrics` is the command `policygrad`."""

from policygrad_metrics.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
