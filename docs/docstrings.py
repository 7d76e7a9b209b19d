"""What MkDocs shows of docstrings: doctests as code, and the `#:` comments of constants."""

import re
from itertools import takewhile

import griffe

DOCTEST = re.compile(r"(?m)^( *)(>>> .*\n?(?:\1.+\n?)*)")


class Docstrings(griffe.Extension):
    """Fences the doctests, which Markdown would read as quotations; reads `#:` comments."""

    def on_object(self, *, obj, **_):
        if obj.is_attribute and not obj.docstring and obj.lineno:
            above = reversed(obj.filepath.read_text().splitlines()[: obj.lineno - 1])
            lines = [*takewhile(lambda line: line.strip().startswith("#:"), above)][::-1]
            if lines:
                text = "\n".join(line.strip().removeprefix("#:").strip() for line in lines)
                obj.docstring = griffe.Docstring(text, parent=obj)
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(fenced, obj.docstring.value)


def fenced(match):
    return f"{match[1]}```pycon\n{match[0].rstrip()}\n{match[1]}```\n"
