"""A synthetic publisher for tests: it says what it is told, signed.

Every message is a text as it would stand on a ledger. The keys are made from
small numbers and belong to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etdb.identity import Digest, Txid
from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.edits import replacement_of, wrap_edit
from etdb.record.oip042 import arrange, read_envelope, wrap
from etdb.record.parts import Part, encode_part, parse_part, plan_chunks
from etdb.record.signing import TEST_P2PKH, PrivateKey, old_preimage, sign_body

DIRECTORY = "QmfJxwEBCbfe5SRQpP1T1jaJrCLMuBSwP8FgpeV54rsPLx"
SIGNED_AT = 1_700_000_000


class Author:
    """One key and one address, `o…` unless another version is asked for."""

    def __init__(self, number: int = 1, version: int = TEST_P2PKH) -> None:
        self.key = PrivateKey.from_bytes(number.to_bytes(32, "big"))
        self.address = self.key.address(version)

    def artifact(
        self, details: Mapping[str, Any] = {}, **changes: Any
    ) -> dict[str, Any]:
        """An unsigned Research-Tomogram artifact, as small as one can be."""
        known = {"date": 1577836800, "speciesName": "Vibrio cholerae", "sid": "syn-1"}
        return arrange(
            {
                "floAddress": self.address,
                "timestamp": SIGNED_AT,
                "type": "research",
                "subtype": "tomogram",
                "info": {"title": "Synthetic", "description": "Made for tests"},
                "details": known | dict(details),
                "storage": {"network": "ipfs", "location": DIRECTORY, "files": []},
                **changes,
            }
        )

    def publish(self, artifact: Mapping[str, Any] | None = None) -> str:
        """A content-signed publish (class A)."""
        body = self.artifact() if artifact is None else artifact
        return wrap("publish", "artifact", sign_body("publish", body, self.key))

    def publish_old(self, artifact: Mapping[str, Any] | None = None) -> str:
        """A publish as go-etdb signed it: location, address and time only."""
        return wrap("publish", "artifact", self.sign_old("publish", artifact))

    def sign_old(
        self, action: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A body with its OIP 0.42 signature alone."""
        said = dict(self.artifact() if body is None else body)
        said["signature"] = self.key.sign_message(old_preimage(action, said))
        return said

    def edit(self, root: str, number: int, previous: str = "", **details: Any) -> str:
        """An edit of the record that the text `root` publishes.

        `previous` is the text before it, the root's by default.
        """
        before = digest_in(previous or root)
        revision = {"of": digest_in(root), "number": number, "previous": before}
        artifact = self.artifact({"revision": revision, **details})
        body = sign_body("edit", artifact, self.key)
        return wrap_edit(body, Txid("ab" * 32), self.key)

    def deactivate(self, root: str, **changes: Any) -> str:
        """A withdrawal of the record that the text `root` publishes."""
        body = {
            "artifactID": "ab" * 32,
            "floAddress": self.address,
            "digest": digest_in(root),
            "timestamp": SIGNED_AT,
            **changes,
        }
        return wrap("deactivate", "artifact", sign_body("deactivate", body, self.key))

    def register(self, alias: str, timestamp: int = SIGNED_AT) -> str:
        """What this address calls itself."""
        body = {"alias": alias, "floAddress": self.address, "timestamp": timestamp}
        return wrap("register", "pub", sign_body("register", body, self.key))

    def part_texts(self, text: str, first_txid: str = "cd" * 32) -> list[str]:
        """The parts that carry a long text; `first_txid` carries the first."""
        chunks = plan_chunks(text)
        last = len(chunks) - 1
        return [
            encode_part(i, last, self.address, first_txid if i else "", data, self.key)
            for i, data in enumerate(chunks)
        ]

    def parts(self, text: str, first_txid: str = "cd" * 32) -> Sequence[Part]:
        """The same, parsed."""
        return [parse_part(part) for part in self.part_texts(text, first_txid)]


def body_in(text: str) -> dict[str, Any]:
    """The body of a message (B2); of an edit of ours the new artifact (B7)."""
    body = read_envelope(parse_message_text(text)).body
    return replacement_of(body) or body


def digest_in(text: str) -> Digest:
    """The digest of a message's body."""
    envelope = read_envelope(parse_message_text(text))
    return digest_of(envelope.action, body_in(text))
