"""What a request to the gateway asks for: content, form, and how much of it.

`?format=` wins over Accept (IPIP-523); what the query says of a CAR wins over
the parameters of its media type (IPIP-412).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request

from etdb.errors import InvalidDataError
from etdb.identity import CID
from etdb.store.car import ByteRange, CarOptions, Scope
from etdb.store.walk import verify_hash_known
from etdb.web.accept import parse_accept

RAW_TYPE = "application/vnd.ipld.raw"
CAR_TYPE = "application/vnd.ipld.car"
TAR_TYPE = "application/x-tar"

_CACHED_ONLY = "only-if-cached"
_ENTITY_BYTES = re.compile(r"(-?\d{1,15}):(\*|-?\d{1,15})\Z", re.ASCII)


class Form(Enum):
    """What content is given as."""

    FILE = "file"
    """A file, a page of a directory, or the index.html in it."""
    CONTENT = "content"
    """A file and nothing else."""
    RAW = "raw"
    """One block."""
    CAR = "car"
    TAR = "tar"


_TYPES: Mapping[str, Form] = {
    RAW_TYPE: Form.RAW,
    CAR_TYPE: Form.CAR,
    TAR_TYPE: Form.TAR,
}
_CAR_PARAMETERS = {"version": ("1",), "order": ("dfs", "unk"), "dups": ("n", "y")}
"""What may be asked of a CAR; the first is what is given unasked."""
_NO_CAR = CarOptions()
_FORMATS: Mapping[str, Form] = {form.value: form for form in _TYPES.values()}
_CONTENTS = ("json", "cbor")
"""Formats of what files hold; nothing is turned into them (IPIP-524)."""


@dataclass(frozen=True)
class Wanted:
    """What a request asks for."""

    root: CID
    path: str
    form: Form
    filename: str
    """As the query gives it; ""."""
    is_download: bool
    car: CarOptions

    @property
    def steps(self) -> list[str]:
        """The names on the path."""
        return [step for step in self.path.split("/") if step]


def parse_wanted(request: Request) -> Wanted:
    """Read a request for /ipfs/, a CID and perhaps a path.

    Raises HTTPException: 400 for what cannot be read or is not given to such a
    request, 404 where nothing is named, 406 for what is not offered.
    """
    if request.headers.get("service-worker", "").strip().lower() == "script":
        # It would stand between a visitor and every dataset of this origin.
        msg = "no service worker may be registered from /ipfs: it is not allowed there"
        raise HTTPException(400, msg)
    _, _, root_text, *names = request.scope["path"].split("/")
    if not root_text:
        raise HTTPException(404)
    try:
        root = CID.parse(root_text)
        verify_hash_known(root)
    except InvalidDataError as exc:
        raise HTTPException(400, exc.message) from exc
    form, query = _find_form(request), request.query_params
    return Wanted(
        root=root,
        path=_resolved(names),
        form=form,
        filename=_once_decoded(query.get("filename", "")),
        is_download=query.get("download") == "true",
        car=_parse_car(request) if form is Form.CAR else _NO_CAR,
    )


def _resolved(names: Sequence[str]) -> str:
    """The path without its "." and ".."; a step above the root stays, for a 404."""
    path: list[str] = []
    for name in names:
        if name == ".." and path and path[-1] != "..":
            path.pop()
        elif name not in ("", "."):
            path.append(name)
    return "/".join(path)


def _once_decoded(name: str) -> str:
    """A name that was encoded twice, as in the links of gateways' listings."""
    if not name.isascii():
        return name
    decoded = unquote_to_bytes(name)
    try:
        return decoded.decode("utf-8")
    except UnicodeDecodeError:
        return name


def is_cached_only(request: Request) -> bool:
    """Whether nothing is to be fetched for it: `Cache-Control: only-if-cached`."""
    given = ",".join(request.headers.getlist("cache-control")).split(",")
    return any(one.partition("=")[0].strip().lower() == _CACHED_ONLY for one in given)


def _find_form(request: Request) -> Form:
    name = request.query_params.get("format")
    if name in _CONTENTS:
        return Form.CONTENT
    if name:
        if name not in _FORMATS:
            raise _not_offered(name)
        return _FORMATS[name]
    accepted = parse_accept(request.headers.get("accept", ""))
    ours = [wanted for wanted in accepted if wanted.type in _TYPES]
    plain = [wanted for wanted in accepted if _is_plain(wanted.type)]
    if ours and (not plain or ours[0].weight >= plain[0].weight):
        return _TYPES[ours[0].type]
    if accepted and not plain:
        raise _not_offered(accepted[0].type)
    return Form.FILE


def _is_plain(media_type: str) -> bool:
    is_special = media_type.startswith(("application/vnd.ipld.", "application/vnd.ipf"))
    return not is_special and media_type not in _TYPES


def _not_offered(name: str) -> HTTPException:
    offered = ", ".join(f"?format={known}" for known in _FORMATS)
    return HTTPException(406, f"this node has no {name[:80]!r}; it has {offered}")


def _parse_car(request: Request) -> CarOptions:
    accepted = parse_accept(request.headers.get("accept", ""))
    known = {item.type: item.parameters for item in reversed(accepted)}
    parameters = dict(known.get(CAR_TYPE, {}))
    query = request.query_params
    for name, allowed in _CAR_PARAMETERS.items():
        asked = query.get(f"car-{name}", parameters.get(name, allowed[0]))
        if asked not in allowed:
            raise HTTPException(406, f"no CAR here with {name}={asked[:80]!r}")
        parameters[name] = asked
    byte_range = _parse_bytes(query.get("entity-bytes"))
    scope = Scope.ENTITY if byte_range is not None else Scope.ALL
    if "dag-scope" in query:
        scope = _parse_scope(query["dag-scope"])
    return CarOptions(scope, byte_range, has_duplicates=parameters["dups"] == "y")


def _parse_scope(name: str) -> Scope:
    try:
        return Scope(name)
    except ValueError as exc:
        msg = f"dag-scope is block, entity or all, not {name[:80]!r}"
        raise HTTPException(400, msg) from exc


def _parse_bytes(text: str | None) -> ByteRange | None:
    if text is None:
        return None
    found = _ENTITY_BYTES.match(text)
    if found is None:
        raise HTTPException(400, f"entity-bytes is from:to, not {text[:80]!r}")
    first, last = int(found[1]), None if found[2] == "*" else int(found[2])
    # Of one bound from the start and one from the end, only the file's size tells.
    if last is not None and last < first and (first < 0) == (last < 0):
        raise HTTPException(400, f"entity-bytes={text} ends before it begins")
    return ByteRange(first, last)
