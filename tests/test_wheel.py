"""What an editor sees of the installed wheel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import policygrad_metrics as pgm

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
import numpy as np
import policygrad_metrics as pgm
from policygrad_metrics import PolicyGradientLoss

loss = PolicyGradientLoss("f1_macro", policy=pgm.policies.Softmax())
metric = pgm.RewardMetric(pgm.rewards.FBeta(average="macro", beta=2.0))
estimate = pgm.estimators.ExactExpectation()(np.zeros((2, 2)), pgm.get_reward("f1"), [0, 1])
levels = pgm.policies.BinnedRegression.for_scale("us_epa_2024")
model = pgm.PolicyGradientClassifier("f1_macro").fit(np.zeros((2, 2)), [0, 1])
"""
SEEN = {
    "loss": "PolicyGradientLoss",
    "metric": "RewardMetric",
    "estimate": "Estimate",
    "levels": "BinnedRegression",
    "model": "PolicyGradientClassifier",
}


@pytest.mark.slow
def test_types_and_completion_work_on_the_installed_wheel(tmp_path):
    pip = [sys.executable, "-m", "pip", "-q", "install", "--no-deps"]
    installed = tmp_path / "installed"
    subprocess.run([*pip, "--target", str(installed), str(ROOT)], check=True)
    package = installed / "policygrad_metrics"
    assert {"py.typed", "__init__.pyi"} <= {path.name for path in package.iterdir()}
    user = tmp_path / "user"
    user.mkdir()
    names = [*SEEN, *(f"pgm.{name}" for name in pgm.__all__)]
    script = SCRIPT + "".join(f"reveal_type({name})\n" for name in names)
    (user / "script.py").write_text(script)
    (user / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(installed)]}))
    pyright = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(pyright, cwd=user, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)["generalDiagnostics"]
    assert [d["message"] for d in said if d["severity"] == "error"] == []
    types = [d["message"].split(" is ", 1)[1].strip('"') for d in said]
    assert types[: len(SEEN)] == list(SEEN.values())
    assert len(types) == len(names)
    unknown = [n for n, t in zip(names, types, strict=True) if t in ("Any", "Unknown")]
    assert unknown == []
