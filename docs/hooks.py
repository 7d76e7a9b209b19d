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
    """The public names of a package, each with the file it comes from; a stub goes before code."""
    stub = folder / "__init__.pyi"
    nodes = ast.parse((stub if stub.exists() else folder / "__init__.py").read_text()).body
    names = imported(nodes, folder)
    if not stub.exists():
        public = [node for node in nodes if isinstance(node, ast.Assign)]
        listed = ast.literal_eval(public[0].value) if public else []
        names = {name: names.get(name, folder) for name in listed}
    return dict(sorted(names.items()))


def imported(nodes, folder):
    """The names that statements of a package import, each with the file it comes from."""
    names = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            home = folder if node.level else ROOT
            home = home.joinpath(*(node.module or "").split("."))
            names |= {alias.asname or alias.name: home for alias in node.names}
    return names


def first_line(name, home):
    """The first line of what a name's docstring or, of a constant, `#:` comment says."""
    if (home / name).with_suffix(".py").exists() or (home / name).is_dir():  # a module
        home = home / name
    path = home / "__init__.py" if home.is_dir() else home.with_suffix(".py")
    text = path.read_text()
    tree = ast.parse(text)
    found = [node for node in tree.body if getattr(node, "name", None) == name]
    if not found and home.name == name:
        found = [tree]
    elif not found and name in (further := imported(tree.body, home)):
        return first_line(name, further[name])
    if found:
        return (ast.get_docstring(found[0]) or "").split("\n")[0]
    comment = re.search(rf"^#: (.*)\n(?:#:.*\n)*{name}\b", text, re.MULTILINE)
    return comment[1] if comment else ""


def in_its_own_module(name, home):
    """Whether a function has the name of its module, which would be shown instead of it."""
    return home.name == name and home.with_suffix(".py").exists()


def reference_pages():
    """The reference: a page for each room with public names, and an index of all names."""
    pages, tables = {}, []
    top = public_names(PACKAGE)
    for folder in sorted(PACKAGE.iterdir()):
        if not (folder / "__init__.py").exists() or not (names := public_names(folder)):
            continue
        path = f"{PACKAGE.name}.{folder.name}"
        intro = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())).split("\n")[0]
        short = f"pgm.{folder.name}" if folder.name in top else path
        page, table = [f"# {folder.name}\n", f"{intro}\n"], [f"## [{short}]({folder.name}.md)\n"]
        table += [f"{intro}\n", "| name | |", "| --- | --- |"]
        for name, home in names.items():
            whole = f"{path}.{name}.{name}" if in_its_own_module(name, home) else f"{path}.{name}"
            page.append(f"::: {whole}\n")
            called = f"pgm.{name}" if name in top else name
            said = first_line(name, home).replace("|", "\\|")
            table.append(f"| [`{called}`]({folder.name}.md#{whole}) | {said} |")
        pages[f"api/{folder.name}.md"] = "\n".join(page)
        tables.append("\n".join(table) + "\n")
    intro = "# Reference\n\n`import policygrad_metrics as pgm`. Names at the top bear `pgm.`.\n"
    pages["api/index.md"] = "\n".join([intro, *tables])
    return pages


def gallery_pages():
    """A page for each example: its docstring, what it printed, its picture and its source."""
    outputs = ROOT / "docs" / "gallery"
    pages = {}
    lines = ["# Gallery\n"]
    for example in sorted((ROOT / "examples").glob("*.py")):
        source = example.read_text()
        title, _, rest = ast.get_docstring(ast.parse(source)).partition("\n")
        rest = re.sub(r"\n+ +python examples/.*", "", rest)  # the command is said below
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
            under = [name for name in made if name.startswith(folder) and name != page]
            entry[title] = [page, *({Path(name).stem.replace("_", " "): name} for name in under)]


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
