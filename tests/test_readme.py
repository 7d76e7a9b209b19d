"""The Python snippets of the README and of the pages of docs run, each page in one session."""

import re
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from policygrad_metrics.cli import main as cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SNIPPET = re.compile(r"(<!-- needs several machines -->\n)?```python\n(.*?)```", re.DOTALL)
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
WITH_SNIPPETS = [page for page in PAGES if SNIPPET.search((ROOT / page).read_text())]
#: Pages whose snippets run by default.
FIRST = ("README.md",)
#: Pages whose commands run after their snippets.
WITH_COMMANDS = ("docs/train.md", "docs/forecast.md")
NEEDED = {"docs/boosting.md": ("lightgbm", "xgboost", "catboost")}


def run_snippets(page, least=1):
    """Run the snippets of a page in the working directory, and return the names they leave."""
    snippets = [
        text for elsewhere, text in SNIPPET.findall((ROOT / page).read_text()) if not elsewhere
    ]
    assert len(snippets) >= least
    session: dict = {}
    for snippet in snippets:
        exec(compile(snippet, page, "exec"), session)
    return session


def check_readme(session, printed):
    assert session["labels"].shape == (1000,)


def check_keras(session, printed):
    assert 0.0 < float(session["metric"].result()) <= 1.0
    assert float(session["leave_out"]([0, 1], [0, 1], num_classes=3)) == 1.0
    assert "1.0" in printed


def check_air_quality(session, printed):
    assert session["found"].index.tolist() == [67, 154]
    assert session["concentration"].shape == session["korean"].shape == (512,)


def check_boosting(session, printed):
    assert float(printed) > 0.9
    assert (session["labels"] == session["y_test"]).mean() > 0.9
    assert session["booster"].best_score > 0.9


def check_constraints(session, printed):
    assert session["tuner"].feasible_
    assert session["classifier"].tuner_.feasible_
    assert "p > " in printed
    plt.close(session["picture"])


def check_compare(session, printed):
    assert printed.startswith("policygrad compare --data iris")
    assert session["study"].html.exists()


def check_sklearn(session, printed):
    assert session["graded"].classes_.tolist() == ["C", "B", "A"]


def check_serving(session, printed):
    assert "labels" in printed


def check_choosing(session, printed):
    assert "quadratic_kappa 0.2857" in printed


def check_train(session, printed):
    assert session["labels"].shape == (400,)
    assert session["answer"]["probabilities"].shape == (1, 2)
    assert len(Path("labels.csv").read_text().splitlines()) == 401
    assert "Confusion matrix" in printed
    assert Path("served/2/saved_model.pb").exists()


def check_forecast(session, printed):
    assert session["outlook"].alerts.shape == (2,)
    assert session["today"].known == 12
    assert "highest level" in printed
    assert Path("outlook/station.png").exists()


def check_rankings(session, printed):
    assert session["value"] > 0.25
    # Keras reports a float32.
    reported = session["history"].history["val_average_precision"][-1]
    assert abs(reported - session["value"]) < 1e-6
    assert 0.0 <= session["found"] <= 1.0
    assert session["scorer_of_any"] > 0.25


CHECKS = {name.removeprefix("check_"): f for name, f in globals().items() if name[:6] == "check_"}


def run_commands(page):
    """Run the commands of a page that begin with `policygrad`, in the current folder."""
    for block in re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("policygrad "):
                assert cli.main(shlex.split(line, comments=True)[1:]) == 0, line


@pytest.mark.filterwarnings("ignore:Failed to import numba")
@pytest.mark.parametrize(
    "page", [p if p in FIRST else pytest.param(p, marks=pytest.mark.slow) for p in WITH_SNIPPETS]
)
def test_snippets_run(page, tmp_path, monkeypatch, capsys):
    for library in NEEDED.get(page, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)  # some of them write files
    session = run_snippets(page)
    if page in WITH_COMMANDS:
        run_commands(page)
    check = CHECKS.get(Path(page).stem.lower())
    if check:
        check(session, capsys.readouterr().out)


def test_only_the_snippet_for_several_machines_is_left_out():
    pages = "".join((ROOT / page).read_text() for page in PAGES)
    left_out = [snippet for elsewhere, snippet in SNIPPET.findall(pages) if elsewhere]
    assert [snippet.split("(")[0] for snippet in left_out] == [
        "strategy = tf.distribute.MultiWorkerMirroredStrategy"
    ]


def test_both_commands_are_there():
    commands = re.findall(r"```bash\n(python3 -m venv.*?)\n```", README)
    assert len(commands) == 2
    assert commands[0].endswith("policygrad compare")
    assert "pytest" in commands[1]


def test_the_readme_is_short():
    assert len(README.split()) <= 900
