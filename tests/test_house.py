"""The house: imports go downwards only, modules stay small, public names resolve."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import policygrad_metrics as pgm

PACKAGE = Path(pgm.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: The floor of each module or folder; one may import from its own floor (in its own folder) and
#: from those below.
FLOORS = {
    "_checks": 0,
    "_durable": 0,
    "backup_file": 0,
    "python_calls": 0,
    "air": 0,
    "aqi": 0,
    "data": 0,
    "statistics": 0,
    "_tfp": 1,
    "sites": 1,
    "blocks": 1,
    "global_batch": 1,
    "draws": 1,
    "policies": 1,
    "rewards": 1,
    "surrogates": 1,
    "estimators": 1,
    "site_batch": 2,
    "serialization": 2,
    "site_loss": 2,
    "class_worth": 2,
    "losses": 2,
    "surrogate_losses": 2,
    "running_counts": 2,
    "metrics": 2,
    "callbacks": 2,
    "backup": 2,
    "distributed": 2,
    "shuffling": 2,
    "balanced": 2,
    "activations": 2,
    "step_losses": 2,
    "heads": 2,
    "decision": 3,
    "diagnostics": 3,
    "methods": 3,
    "training": 4,
    "tabular": 4,
    "finetuning": 4,
    "serving": 4,
    "loading": 5,
    "air_study": 5,
    "study": 5,
    "cli": 6,
    "cli_aqi": 6,
    "cli_options": 6,
    "cli_variance": 6,
    "__main__": 6,
}

#: On one floor, who may not know whom.
STRANGERS = {("rewards", "policies"), ("policies", "rewards"), ("surrogates", "estimators")}


def part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    here = part(path)
    if here == "__init__":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "policygrad_metrics" and len(parts) > 1 and parts[1] in FLOORS:
            assert FLOORS[parts[1]] <= FLOORS[here], f"{here} imports {name}"
            assert (here, parts[1]) not in STRANGERS, f"{here} imports {name}"
        if FLOORS[here] == 0:
            assert parts[0] not in ("tensorflow", "keras", "tensorflow_probability")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_one_idea_per_file(path):
    assert path.read_text().count("\n") <= 400


def test_public_names_resolve_and_are_documented():
    for name in pgm._EXPORTS:
        assert (getattr(pgm, name).__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pgm.nothing


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, policygrad_metrics; "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
