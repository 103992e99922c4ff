"""What type a file is served as, by its name alone.

A short list of types that a browser shows without running anything; whatever
is not on it is plain bytes to save. Scripts and styles are served as text:
nothing under /ipfs/ is ever a program to this site's pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

BYTES = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"

_TEXT_ENDINGS = (
    "txt log md csv tsv mdoc tlt rawtlt xf xtilt aln com adoc star toml yaml yml "
    "xml css js mjs py sh"
)

_TYPES: Mapping[str, str] = {
    **dict.fromkeys(_TEXT_ENDINGS.split(), _TEXT),
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "htm": "text/html; charset=utf-8",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "mp4": "video/mp4",
    "webm": "video/webm",
}

_PLAIN = re.compile(r"[A-Za-z0-9._~-]*\Z", re.ASCII)
"""Names that need no escape, such as any CID: most of those sent."""


def type_of(name: str) -> str:
    """The media type for a file's name."""
    _, dot, ending = name.rpartition(".")
    return _TYPES.get(ending.lower(), BYTES) if dot else BYTES


def is_viewable(name: str) -> bool:
    """Whether a browser shows such a file rather than saving it."""
    return type_of(name) != BYTES


def disposition(name: str, *, is_attachment: bool) -> str:
    """A Content-Disposition: the name in ASCII, and exactly."""
    kind = "attachment" if is_attachment else "inline"
    base = name.rpartition("/")[2]
    if _PLAIN.match(base):
        return f"{kind}; filename=\"{base}\"; filename*=UTF-8''{base}"
    simple = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\%' else "_"
        for char in base
    )
    exact = quote(base, safe="", errors="replace")
    return f"{kind}; filename=\"{simple}\"; filename*=UTF-8''{exact}"
