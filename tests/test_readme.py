"""The Python snippets of the README and of pages of docs run, each page in one session."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def run_snippets(page, least=3):
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert len(snippets) >= least
    session: dict = {}
    for snippet in snippets:
        exec(compile(snippet, page, "exec"), session)
    return session


def test_snippets_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them writes a folder
    session = run_snippets("README.md")
    assert session["labels"].shape == (1000,)
    assert session["concentration"].shape == (1000,)


def test_snippets_of_the_keras_page_run(capsys):
    session = run_snippets("docs/keras.md")
    assert 0.0 < float(session["metric"].result()) <= 1.0
    assert float(session["leave_out"]([0, 1], [0, 1], num_classes=3)) == 1.0
    assert "1.0" in capsys.readouterr().out


def test_snippets_of_the_air_quality_page_run():
    session = run_snippets("docs/air_quality.md", least=2)
    assert session["found"].index.tolist() == [67, 154]


@pytest.mark.filterwarnings("ignore:Failed to import numba")
def test_snippets_of_the_boosting_page_run(capsys):
    for library in ("lightgbm", "xgboost", "catboost"):
        pytest.importorskip(library)
    session = run_snippets("docs/boosting.md", least=6)
    assert float(capsys.readouterr().out) > 0.9
    assert (session["labels"] == session["y_test"]).mean() > 0.9
    assert session["booster"].best_score > 0.9


def test_snippets_of_the_constraints_page_run(capsys):
    session = run_snippets("docs/constraints.md")
    assert session["tuner"].feasible_
    assert session["classifier"].tuner_.feasible_
    assert "p > " in capsys.readouterr().out
    plt.close(session["picture"])


def test_snippets_of_the_rankings_page_run():
    session = run_snippets("docs/rankings.md")
    assert session["value"] > 0.25
    # Keras reports a float32.
    reported = session["history"].history["val_average_precision"][-1]
    assert abs(reported - session["value"]) < 1e-6
    assert 0.0 <= session["found"] <= 1.0
    assert session["scorer_of_any"] > 0.25


def test_both_commands_are_there():
    commands = re.findall(r"```bash\n(python3 -m venv.*?)\n```", README)
    assert len(commands) == 2
    assert commands[0].endswith("policygrad compare")
    assert "pytest" in commands[1]
