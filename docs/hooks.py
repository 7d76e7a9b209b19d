"""What the site has beside the pages of this folder, made when MkDocs builds it.

The reference of every public name, the gallery, the laboratory notes, CHANGELOG and CONTRIBUTING
become pages. Formulas become MathML, which browsers show without a script.
"""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "policygrad_metrics"
#: Links between files of the repository, and where the same pages are on the site.
MOVED = {
    "../benchmarks/notes/": "notes/",
    "benchmarks/notes/": "notes/",
    "../../docs/": "../",
    "docs/": "",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
}


def public_names(folder):
    """The public names of a package: those of its stub, or of `__all__` in its `__init__.py`."""
    stub = folder / "__init__.pyi"
    nodes = ast.parse((stub if stub.exists() else folder / "__init__.py").read_text()).body
    if stub.exists():
        imported = (node for node in nodes if isinstance(node, ast.ImportFrom))
        return sorted(alias.asname for node in imported for alias in node.names)
    for node in nodes:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return sorted(ast.literal_eval(node.value))
    return []


def in_its_own_module(folder, name):
    """Whether a function has the name of its module, which would be shown instead of it."""
    module = folder / f"{name}.py"
    return module.exists() and f"\ndef {name}(" in module.read_text()


def reference_pages():
    """The reference: a page for each room with public names, and a page of the names at the top."""
    pages, owners = {}, {}
    for folder in sorted(PACKAGE.iterdir()):
        if not (folder / "__init__.py").exists() or not (names := public_names(folder)):
            continue
        path = f"{PACKAGE.name}.{folder.name}"
        intro = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())).split("\n")[0]
        whole = {name: f"{name}.{name}" for name in names if in_its_own_module(folder, name)}
        entries = [f"::: {path}.{whole.get(name, name)}\n" for name in names]
        pages[f"api/{folder.name}.md"] = "\n".join([f"# {folder.name}\n", f"{intro}\n", *entries])
        owners |= {name: f"{folder.name}.{whole.get(name, name)}" for name in names}
    rooms = {Path(page).stem for page in pages}
    lines = ["# Reference\n", "`import policygrad_metrics as pgm` has these names:\n"]
    for name in public_names(PACKAGE):
        if name in rooms:
            target = f"{name}.md"
        else:
            target = f"{owners[name].split('.')[0]}.md#{PACKAGE.name}.{owners[name]}"
        lines.append(f"* [`pgm.{name}`]({target})")
    others = sorted(rooms - set(public_names(PACKAGE)))
    lines.append("\nImport these packages by their whole name:\n")
    lines += [f"* [`{PACKAGE.name}.{room}`]({room}.md)" for room in others]
    pages["api/index.md"] = "\n".join(lines) + "\n"
    return pages


def gallery_pages():
    """A page for each example: its docstring, what it printed, its picture and its source."""
    outputs = ROOT / "docs" / "gallery"
    pages = {}
    lines = ["# Gallery\n"]
    for example in sorted((ROOT / "examples").glob("*.py")):
        source = example.read_text()
        title, _, rest = ast.get_docstring(ast.parse(source)).partition("\n")
        page = [f"# {title.rstrip('.')}\n", rest.strip(), ""]
        printed = (outputs / f"{example.stem}.txt").read_text()
        page += [f"`python examples/{example.name} --quick --out OUT` printed:\n"]
        page += ["```text", printed.rstrip(), "```\n"]
        if (outputs / f"{example.stem}.png").exists():
            page += [f"![the picture that the example draws]({example.stem}.png)\n"]
        page += ["## The example\n", "```python", source.rstrip(), "```\n"]
        pages[f"gallery/{example.stem}.md"] = "\n".join(page)
        lines.append(f"* [{title.rstrip('.')}]({example.stem}.md)")
    lines += ["\n`python docs/run_examples.py` runs all of them and keeps what they print."]
    pages["gallery/index.md"] = "\n".join(lines) + "\n"
    return pages


def on_config(config):
    """Put the pages that are made under the entries of the navigation that lead to them."""
    made = sorted(reference_pages() | gallery_pages())
    for entry in config.nav:
        ((title, page),) = entry.items()
        if isinstance(page, str) and page.endswith("/index.md"):
            folder = page.removesuffix("index.md")
            entry[title] = [
                page,
                *(name for name in made if name.startswith(folder) and name != page),
            ]


def on_files(files, config):
    """Add the pages that are made and those that lie elsewhere in the repository."""
    from mkdocs.structure.files import File

    for name, text in (reference_pages() | gallery_pages()).items():
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "benchmarks" / "notes").glob("*.[mp][dn]*")):
        files.append(File.generated(config, f"notes/{path.name}", abs_src_path=str(path)))
    for name in ("CHANGELOG", "CONTRIBUTING"):
        path = str(ROOT / f"{name}.md")
        files.append(File.generated(config, f"{name.lower()}.md", abs_src_path=path))
    return files


def on_page_markdown(markdown, **_):
    """Lead links between files of the repository to the pages of the site."""

    def moved(match):
        for start, place in MOVED.items():
            if match[1].startswith(start):
                return f"]({place}{match[1].removeprefix(start)})"
        return match[0]

    return re.sub(r"\]\(([^)\s]+)\)", moved, markdown)


def on_page_content(content, **_):
    """Turn formulas into MathML."""
    from latex2mathml.converter import convert

    def formula(match):
        display = "block" if match[1] == "div" else "inline"
        return convert(html.unescape(match[2].strip()), display=display)

    pattern = r'<(div|span) class="arithmatex">\s*\\[\[(](.*?)\\[\])]\s*</\1>'
    return re.sub(pattern, formula, content, flags=re.DOTALL)
