"""Every error etdb raises on purpose, in one tree.

The tree answers the caller's three questions: is what I gave bad, is it
absent, is someone down?

    EtdbError
    ├─ ConfigError              settings are wrong (start-up only)
    ├─ InvalidDataError         bytes from outside break a rule; retrying cannot help
    │  ├─ InvalidRecordError    shape, field, unit, range
    │  ├─ InvalidMessageError   prefix, parts, length
    │  ├─ InvalidSignatureError does not match the publisher's key
    │  └─ ContentMismatchError  the bytes are not the CID's
    ├─ NotFoundError            record, file, chunk, publisher
    ├─ NotAllowedError          valid, but not permitted
    ├─ UnavailableError         a service, a disk or a remote node; retrying may help
    ├─ ConflictError            already there, in use, or of another network
    └─ DamagedFileError         a file of our own is inconsistent

An error takes facts and makes its own sentence; the next step to take is its
`hint`. `code` is stable and is what the API reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # records are pure, and raise these errors
    from pathlib import Path


class EtdbError(Exception):
    """Anything expected to go wrong."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts


class ConfigError(EtdbError):
    """A setting is wrong; nothing was started."""

    code = "config"


class InvalidDataError(EtdbError):
    """Bytes from outside break a rule; sending them again cannot help."""

    code = "invalid-data"


class InvalidRecordError(InvalidDataError):
    """A record's shape, field, unit or range is wrong."""

    code = "invalid-record"


class InvalidMessageError(InvalidDataError):
    """A ledger message cannot be read: prefix, parts or length."""

    code = "invalid-message"


class InvalidSignatureError(InvalidDataError):
    """A signature does not match the address it claims."""

    code = "invalid-signature"


class ContentMismatchError(InvalidDataError):
    """Bytes do not hash to the CID they were asked for by."""

    code = "content-mismatch"

    def __init__(self, *, cid: object, found: object, where: str = "") -> None:
        place = f" in {where}" if where else ""
        super().__init__(
            f"content{place} does not match {cid}: it hashes to {found}",
            cid=str(cid),
            found=str(found),
            where=where,
        )


class NotFoundError(EtdbError):
    """A record, file, chunk or publisher that is not here."""

    code = "not-found"

    def __init__(self, kind: str, identity: object, *, hint: str = "") -> None:
        super().__init__(
            f"no {kind} {identity}", hint=hint, kind=kind, id=str(identity)
        )


class NotAllowedError(EtdbError):
    """Valid, but not permitted."""

    code = "not-allowed"


class UnavailableError(EtdbError):
    """A service or device did not do its part; retrying may help."""

    code = "unavailable"


class ConflictError(EtdbError):
    """Something is in the way: already there, in use, or of another network."""

    code = "conflict"


class DamagedFileError(EtdbError):
    """A file of our own is damaged, or contradicts itself or the ledger.

    Index, coin book and store can be made again; the chain, the journal and the
    keys cannot, and come from a copy. The hint says which of the two holds.
    `path` is the file or the folder, where one is known.
    """

    code = "damaged-file"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        path: Path | None = None,
        **facts: object,
    ) -> None:
        super().__init__(message, hint=hint, **facts)
        # No fact: facts are told to strangers, and this is a place on our disk.
        self.path = path
