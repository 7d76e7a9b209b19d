"""The pages of the documentation that are made: the reference and the gallery."""

import importlib.util
import re
from pathlib import Path

import policygrad_metrics as pgm

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
hooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hooks)


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
