"""The Python snippets of the README and of pages of docs run, each page in one session."""

import re
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from policygrad_metrics.cli import main as cli

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


def run_commands(page):
    """Run the commands of a page that begin with `policygrad`, in the current folder."""
    text = (ROOT / page).read_text()
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("policygrad "):
                assert cli.main(shlex.split(line, comments=True)[1:]) == 0, line


def test_the_page_on_training_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    session = run_snippets("docs/train.md")
    assert session["labels"].shape == (400,)
    assert session["answer"]["probabilities"].shape == (1, 2)
    run_commands("docs/train.md")
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 401
    shown = capsys.readouterr()
    assert "Confusion matrix" in shown.out
    assert "no column has drifted" in shown.err
    assert (tmp_path / "served" / "2" / "saved_model.pb").exists()


def test_the_page_on_forecasts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    session = run_snippets("docs/forecast.md")
    assert session["outlook"].alerts.shape == (2,)
    assert session["today"].known == 12
    run_commands("docs/forecast.md")
    assert "highest level" in capsys.readouterr().out
    assert (tmp_path / "outlook" / "station.png").exists()


def test_both_commands_are_there():
    commands = re.findall(r"```bash\n(python3 -m venv.*?)\n```", README)
    assert len(commands) == 2
    assert commands[0].endswith("policygrad compare")
    assert "pytest" in commands[1]
