"""Every Python snippet of the README runs, in order, in one session."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them writes a folder
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(snippets) >= 3
    session: dict = {}
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), session)
    assert session["labels"].shape == (1000,)
    assert session["concentration"].shape == (1000,)


def test_both_commands_are_there():
    commands = re.findall(r"```bash\n(python3 -m venv.*?)\n```", README)
    assert len(commands) == 2
    assert commands[0].endswith("policygrad compare")
    assert "pytest" in commands[1]
