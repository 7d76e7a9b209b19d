"""The pages of the documentation that are made: the reference and the gallery."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import policygrad_metrics as pgm

ROOT = Path(__file__).parents[1]


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hooks = load("docs/hooks.py")


def test_the_reference_has_every_public_name():
    pages = hooks.reference_pages()
    index = pages["api/index.md"]
    at_top = re.findall(r"\[`?pgm\.(\w+)", index)
    assert sorted(at_top) == sorted(pgm.__all__)
    for _, target in re.findall(r"^\| \[`([\w.]+)`\]\(([\w.#]+)\) \|", index, re.MULTILINE):
        page, _, anchor = target.partition("#")
        assert f"::: {anchor}\n" in pages[f"api/{page}"]
    for folder in (path.parent for path in Path(pgm.__file__).parent.glob("*/__init__.py")):
        room = importlib.import_module(f"policygrad_metrics.{folder.name}")
        entries = re.findall(r"^::: (.*)$", pages.get(f"api/{folder.name}.md", ""), re.MULTILINE)
        shown = [entry.rsplit(".", 1)[1] for entry in entries]
        assert sorted(shown) == sorted(getattr(room, "__all__", [])), folder.name


def test_the_gallery_has_every_example_and_what_it_prints():
    examples = {path.stem for path in (ROOT / "examples").glob("*.py")}
    kept = {path.stem for path in (ROOT / "docs" / "gallery").glob("*.txt")}
    assert kept == examples, "python docs/run_examples.py"
    pages = hooks.gallery_pages()
    assert pages.keys() == {"gallery/index.md", *(f"gallery/{name}.md" for name in examples)}
    assert "policy gradient, exact_bin" in pages["gallery/step_function_loss.md"]


def test_links_between_files_of_the_repository_lead_to_pages_of_the_site():
    links = "[a](../benchmarks/notes/results.md#x) [b](docs/keras.md) [c](faq.md) [d](README.md)"
    moved = "[a](notes/results.md#x) [b](keras.md) [c](faq.md) [d](index.md)"
    assert hooks.on_page_markdown(links) == moved


def test_the_picture_shows_what_the_readme_says_of_it():
    picture = load("benchmarks/notes/picture.py")
    found = picture.scores((ROOT / "benchmarks/notes/standard_suite.md").read_text())
    gained = picture.differences(found)[:, 0]
    assert (sum(gained > 0), sum(gained == 0), sum(gained < 0)) == (18, 2, 4)
    assert (
        "ahead of it on 18 of 24 data sets, level on 2\n(to three digits) and behind on 4"
        in (ROOT / "README.md").read_text()
    )


@pytest.mark.parametrize(
    "name", ["mlflow_runs", "optuna_search", "tensorboard_logs", "wandb_offline"]
)
def test_an_example_without_its_package_says_what_to_install(name, monkeypatch, tmp_path, capsys):
    example = load(f"examples/{name}.py")
    monkeypatch.setattr(example, "find_spec", lambda package: None)
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--out", str(tmp_path / "out")])
    example.main()
    assert capsys.readouterr().out == "skipped: pip install 'policygrad_metrics[trackers]'\n"
