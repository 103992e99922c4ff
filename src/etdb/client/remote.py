"""The library's front door: records and files of a node, verified.

    import etdb

    with etdb.Client("https://etdb.example.org") as client:
        for record in client.search('species:"Vibrio cholerae"'):
            print(record.id, record.title)
        record = client.get_record("3f2a9c41")
        record.get_file("rec/tomogram.mrc").download("tomogram.mrc")

What a `Record` and a `File` say is what the publisher signed; the one thing
that is the node's word is `Record.summary`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from etdb.client.catalogue import Catalogue, NodeCatalogue, iter_results
from etdb.client.content import DatasetFile, list_files
from etdb.client.dag import Dag
from etdb.client.download import FileResult, download, plan
from etdb.client.filters import Selection
from etdb.client.finder import Finder
from etdb.client.look import liars_of
from etdb.client.reader import CACHE_BYTES, open_remote
from etdb.client.record import body_of, check_record, dataset_of
from etdb.client.router import Hints
from etdb.client.saving import save
from etdb.client.sources import HttpSource
from etdb.client.supply import Supply
from etdb.errors import InvalidDataError, NotFoundError
from etdb.fetch import LIMITS, Limits
from etdb.index.record_view import read_details, read_files
from etdb.progress import Progress
from etdb.record import model
from etdb.record.rules import Check


class Client:
    """A node at a URL, and any further gateways to take bytes from.

    The node and the routers are asked who else has a dataset. Private addresses
    that they name are asked only if `allow_private`.

    >>> with Client("https://etdb.example.org/records/3f2a9c41") as client:
    ...     client.url
    'https://etdb.example.org'
    """

    def __init__(
        self,
        url: str,
        *,
        gateways: Sequence[str] = (),
        routers: Sequence[str] = (),
        allow_private: bool = False,
        limits: Limits = LIMITS,
    ) -> None:
        self._node = NodeCatalogue(url, limits=limits)
        self.url = self._node.url
        bases = (self.url, *gateways)
        self._sources = [HttpSource(base, limits=limits) for base in bases]
        self._finder = Finder(
            self._sources,
            Hints((*routers, self.url), may_be_private=allow_private),
            limits=limits,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; open files can be read no longer."""
        self._finder.close()
        for source in self._sources:
            source.close()
        self._node.close()

    def search(self, query: str = "", *, sort: str = "newest") -> Iterator[Record]:
        """Every record that a query finds, page after page as they are asked for.

        Each record's text is fetched and verified when something of it is read
        that its `summary` does not hold. Raises InvalidDataError for the query.
        """
        for summary in iter_results(self._node, query, sort=sort):
            yield Record(self._node, self._finder, summary)

    def get_record(self, record_id: str) -> Record:
        """The record of an id, a unique prefix of it, a txid, or its page's URL.

        What the record says is verified; that it is the one of a txid, or of
        an older version's id, is the node's word. Raises NotFoundError,
        InvalidSignatureError where the record is not to be believed,
        NotAllowedError where it was withdrawn, ConflictError for a prefix of
        several.
        """
        whole = self._node.get_record(record_id)
        body_of(whole)
        return Record(self._node, self._finder, whole, is_whole=True)


class Record:
    """What a publisher signed of one dataset."""

    def __init__(
        self,
        catalogue: Catalogue,
        finder: Finder,
        summary: Mapping[str, Any],
        *,
        is_whole: bool = False,
    ) -> None:
        """`is_whole`: the summary is all that the catalogue says of the record."""
        self.id = str(summary["id"])
        self.summary = summary
        """What the node says of it, at no further cost; not verified."""
        self._catalogue = catalogue
        self._finder = finder
        self._is_whole = is_whole

    def __repr__(self) -> str:
        return f"<etdb.Record {self.id}>"

    @cached_property
    def _whole(self) -> Mapping[str, Any]:
        if self._is_whole:
            return self.summary
        whole = self._catalogue.get_record(self.id)
        if whole.get("id") != self.id:
            msg = f"the node was asked for record {self.id} and sent another"
            raise InvalidDataError(msg, hint="ask another node")
        return whole

    @cached_property
    def artifact(self) -> Mapping[str, Any]:
        """The record as it was published, field by field."""
        return body_of(self._whole)

    @cached_property
    def _view(self) -> model.Record:
        return model.Record.model_validate(self.artifact)

    @property
    def text(self) -> str:
        """The signed text, as it stands on the ledger."""
        return str(self._whole["text"])

    @property
    def checks(self) -> tuple[Check, ...]:
        """Each thing that was checked of the record, and what it proves."""
        return check_record(self._whole)

    @property
    def title(self) -> str | None:
        """What it is of."""
        return self._view.info.title

    @property
    def description(self) -> str | None:
        """What the publisher adds."""
        return self._view.info.description

    @property
    def publisher(self) -> str:
        """The address that signed it."""
        return str(self.artifact.get("floAddress"))

    @property
    def cid(self) -> str:
        """The address of the folder with its files."""
        return str(dataset_of(self._whole))

    @cached_property
    def details(self) -> Mapping[str, Any]:
        """Species, tilt angles, dose …, under names that state their units."""
        return read_details(self._view.details)

    @cached_property
    def files(self) -> tuple[File, ...]:
        """Every file of the dataset, by name.

        Names, sizes and CIDs are those of the dataset's folder, which its CID
        proves; roles are those of the record.
        """
        root = dataset_of(self._whole)
        sources = self._finder.sources_for(root)
        liars = self._finder.liars
        supply = Supply(sources, liars)
        said = {row["name"]: row for row in read_files(self._view, self.artifact)}
        found = list_files(Dag(None, sources, liars), root)
        return tuple(File(supply, one, said.get(one.name, {})) for one in found)

    def get_file(self, name: str) -> File:
        """The file of a name. Raises NotFoundError."""
        for file in self.files:
            if file.name == name:
                return file
        raise NotFoundError("file", name, hint=f"record {self.id} lists its files")

    def download(
        self,
        folder: str | Path,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        roles: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[FileResult]:
        """Fetch its files into a folder under their names, as `etdb get` does.

        `include` and `exclude` are globs of names; `roles` are those of files.
        What became of each file is its result: one that fails stops no other.
        Raises as `etdb.client.download.plan` and `download`.
        """
        sources = self._finder.sources_for(dataset_of(self._whole))
        selection = Selection(tuple(include), tuple(exclude), tuple(roles))
        planned = plan(self._whole, sources, Path(folder), selection)
        outcome = download(planned, sources, progress)
        self._finder.liars.update(liars_of(outcome.sources))
        return outcome.files


class File:
    """One file of a record."""

    def __init__(
        self, supply: Supply, file: DatasetFile, said: Mapping[str, Any]
    ) -> None:
        self.name = file.name
        """Relative to the dataset's folder, with `/` between folders."""
        self.size_bytes = file.size_bytes
        self.cid = str(file.cid)
        self.role = str(said.get("role") or model.Role.OTHER.value)
        """tiltSeries, reconstruction, keyimg …; what the record does not list
        is other."""
        self.display_name: str | None = said.get("display_name")
        self.media_type: str | None = said.get("media_type")
        self.content = file
        """What the dataset's folder says of it."""
        self.supply = supply
        """Where its bytes come from."""

    def __repr__(self) -> str:
        return f"<etdb.File {self.name!r}, {self.size_bytes} bytes>"

    def download(
        self, path: str | Path | None = None, progress: Progress | None = None
    ) -> Path:
        """Fetch it to a path, or into a folder under its own last name.

        Nothing stands at the path before every byte is verified and on disk.
        Stopped at any moment, the same call goes on where it was. Raises
        ContentMismatchError, NotFoundError, UnavailableError.
        """
        target = Path(path or ".")
        if target.is_dir():
            target /= self.name.rpartition("/")[2]
        save(self.supply, self.content, target, progress)
        return target

    def open(self, *, cache_bytes: int = CACHE_BYTES) -> io.BufferedReader:
        """A seekable binary file that fetches what is read, and verifies it.

            with record.get_file("rec/tomogram.mrc").open() as file:
                header = numpy.frombuffer(file.read(1024), mrcfile_header)
                file.seek(1024 + 500 * 1024 * 1024)
                slice_500 = numpy.frombuffer(file.read(1024 * 1024), "i1")

        Reading raises ContentMismatchError, NotFoundError, UnavailableError
        rather than give a wrong byte. `cache_bytes` of what was read last are
        kept, 16 MiB at least.
        """
        return open_remote(self.supply, self.content, cache_bytes=cache_bytes)
