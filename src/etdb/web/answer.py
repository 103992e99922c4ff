"""What every answer of the gateway says of itself: its headers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

from etdb.identity import CID
from etdb.store.walk import Walk
from etdb.web import header, media
from etdb.web.wanted import CAR_TYPE, RAW_TYPE, TAR_TYPE, Form, Wanted

IMMUTABLE = "public, max-age=29030400, immutable"
LISTING_AGE = "public, max-age=604800, stale-while-revalidate=2678400"


@dataclass(frozen=True)
class Place:
    """What a path names, and every CID on the way to it."""

    walk: Walk
    content: CID
    """The file or block to send; a directory's index.html, where it has one."""
    size_bytes: int = 0
    is_listing: bool = False
    is_index: bool = False
    block: bytes | None = None
    """The block itself, where that is what was asked for."""

    @property
    def cid(self) -> CID:
        """The CID at the end of the path."""
        return self.walk.cid


def headers_of(request: Request, wanted: Wanted, place: Place) -> dict[str, str]:
    """The headers of an answer, all but those of its length."""
    roots = [*map(str, place.walk.passed)]
    headers = {
        **header.GATEWAY_CORS,
        **_names(request, wanted, roots[0]),
        "X-Ipfs-Roots": ",".join(roots),
        "Cache-Control": IMMUTABLE,
        # One address gives a page, a block or a CAR: caches must not mix them.
        "Vary": "Accept",
        header.CSP: header.CONTENT_POLICY,
    }
    if place.is_listing:
        headers["ETag"] = f'"DirIndex-etdb2_CID-{roots[-1]}"'
        headers["Cache-Control"] = LISTING_AGE
        headers[header.CSP] = header.LISTING_POLICY
        return headers
    headers.update(_BY_FORM[wanted.form](wanted, place, roots[-1]))
    return headers


def _names(request: Request, wanted: Wanted, root: str) -> dict[str, str]:
    """What was asked for, by IPIP-548: a URI, spelt in one way, and a path.

    The older X-Ipfs-Path is left out where a header cannot say it.
    """
    path = request.scope["path"]
    steps = (f"/{quote(step, safe='')}" for step in wanted.steps)
    end = "/" if path.endswith("/") else ""
    if wanted.root.version == 0:
        root = str(wanted.root.to_v1())
    names = {"Ipfs-Uri": f"ipfs://{root}{''.join(steps)}{end}"}
    if path.isascii() and path.isprintable() and not path.endswith(" "):
        names["X-Ipfs-Path"] = path
    return names


def _file_headers(wanted: Wanted, place: Place, cid: str) -> dict[str, str]:
    name = "index.html" if place.is_index else "".join(wanted.steps[-1:])
    name = wanted.filename or name
    return {
        "ETag": f'"{cid}"',
        "Accept-Ranges": "bytes",
        "Content-Type": media.type_of(name),
        "Content-Disposition": media.disposition(
            name or cid, is_attachment=wanted.is_download
        ),
    }


def _raw_headers(wanted: Wanted, _place: Place, cid: str) -> dict[str, str]:
    return {
        "ETag": f'"{cid}.raw"',
        "Accept-Ranges": "bytes",
        "Content-Type": RAW_TYPE,
        "Content-Disposition": _attachment(wanted, f"{cid}.bin"),
    }


def _car_headers(wanted: Wanted, _place: Place, cid: str) -> dict[str, str]:
    asked = f"{wanted.root}/{'/'.join(wanted.steps)}?{wanted.car}"
    digest = hashlib.sha256(asked.encode("utf-8", "replace")).hexdigest()
    dups = "y" if wanted.car.has_duplicates else "n"
    return {
        "ETag": f'"{cid}.car.{digest[:16]}"',
        "Accept-Ranges": "none",
        "Content-Type": f"{CAR_TYPE}; version=1; order=dfs; dups={dups}",
        "Content-Disposition": _attachment(wanted, _archive_name(wanted, "car")),
    }


def _tar_headers(wanted: Wanted, _place: Place, cid: str) -> dict[str, str]:
    return {
        "ETag": f'W/"{cid}.x-tar"',
        "Accept-Ranges": "none",
        "Content-Type": TAR_TYPE,
        "Content-Disposition": _attachment(wanted, _archive_name(wanted, "tar")),
    }


_BY_FORM = {
    Form.FILE: _file_headers,
    Form.CONTENT: _file_headers,
    Form.RAW: _raw_headers,
    Form.CAR: _car_headers,
    Form.TAR: _tar_headers,
}


def _archive_name(wanted: Wanted, ending: str) -> str:
    return "_".join((str(wanted.root), *wanted.steps)) + f".{ending}"


def _attachment(wanted: Wanted, name: str) -> str:
    return media.disposition(wanted.filename or name, is_attachment=True)


def requested_path(request: Request) -> str:
    """The path exactly as it was asked for."""
    raw = request.scope.get("raw_path")
    return quote(request.url.path) if raw is None else raw.decode("latin-1")


def is_known(request: Request, place: Place, etag: str) -> bool:
    """Whether the visitor has this already.

    A listing is also known by its directory's CID alone, as other gateways
    have it.
    """
    same = {etag.removeprefix("W/"), "*"} | (
        {f'"{place.cid}"'} if place.is_listing else set()
    )
    known = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return bool(tags & same)
