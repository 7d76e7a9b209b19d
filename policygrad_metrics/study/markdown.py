"""Text that is safe in Markdown."""

from __future__ import annotations

import html
import re


def escape_markdown(text: str) -> str:
    r"""Return text that Markdown and the HTML inside it leave as it is, on one line.

    >>> escape_markdown("a|b <i> *c* soft_f1 _d_")
    'a\\|b &lt;i&gt; \\*c\\* soft_f1 \\_d\\_'
    >>> escape_markdown("- not a list"), escape_markdown("1. nor this")
    ('\\- not a list', '1\\. nor this')
    """
    safe = html.escape(" ".join(text.split()), quote=False)
    safe = re.sub(r"([\\`*{}\[\]|~$])", r"\\\1", safe)
    # Underscores inside a word mean nothing; at its ends they are emphasis.
    safe = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", safe)
    return re.sub(r"^(\d*)([-+.#]) ", r"\1\\\2 ", safe)


def fence_of(text: str) -> str:
    """Return the shortest fence of a code block that the text does not end.

    >>> fence_of("a ```` b")
    '`````'
    """
    return "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
