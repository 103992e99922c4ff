"""Pay to public-key hash: the only scripts that are written and checked here.

Other scripts are carried and never judged. What a signature says about the
floData of its transaction is `coverage_of` (flo reference §2, the old-signature
hole).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from coincurve import PublicKey
from coincurve.ecdsa import cdata_to_der, der_to_cdata, signature_normalize

from etdb.errors import InvalidSignatureError
from etdb.ledger.flo.tx import OMIT_FLO_DATA, SIGHASH_ALL, Transaction
from etdb.record.message import Coverage
from etdb.record.signing import hash160

_SIGNATURE_SIZES = range(9, 74)
_KEY_SIZES = (33, 65)
_MAX_CHECKED_INPUTS = 16


@dataclass(frozen=True)
class Unlock:
    """What the input script of a P2PKH coin holds."""

    signature: bytes
    hash_type: int
    public_key: bytes

    def encode(self) -> bytes:
        """Push of signature and hash type, push of the key."""
        pushes = (self.signature + bytes([self.hash_type]), self.public_key)
        return b"".join(bytes([len(push)]) + push for push in pushes)


def pay_to(key_hash: bytes) -> bytes:
    """The output script that pays to a 20-byte key hash."""
    return b"\x76\xa9\x14" + key_hash + b"\x88\xac"


def find_unlock(script: bytes) -> Unlock | None:
    """Signature and key of a P2PKH input script, if it has that form."""
    size = script[0] if script else 0
    key_size = script[size + 1] if len(script) > size + 1 else 0
    if (
        size not in _SIGNATURE_SIZES
        or key_size not in _KEY_SIZES
        or len(script) != size + key_size + 2
    ):
        return None
    return Unlock(script[1:size], script[size], script[size + 2 :])


def verify_input(transaction: Transaction, index: int, script: bytes) -> None:
    """One input may spend a coin guarded by `script` and signs the floData.

    Raises InvalidSignatureError; also where the coin is not P2PKH.
    """
    unlock = find_unlock(transaction.inputs[index].script)
    if (
        unlock is None
        or script != pay_to(hash160(unlock.public_key))
        or unlock.hash_type != SIGHASH_ALL
        or not _is_signed(unlock, transaction.sighash(index, script, SIGHASH_ALL))
    ):
        msg = f"input {index} of {transaction.txid} is not signed by its coin's key"
        raise InvalidSignatureError(msg)


def coverage_of(transaction: Transaction) -> Coverage:
    """Whether anybody could have changed the floData and kept the signatures.

    One input that signs it is enough to hold it in place. UNKNOWN where the
    transaction alone does not tell: coinbases, other scripts, and no such
    input among the first 16 (each costs a hash of the whole transaction).
    """
    found = set()
    for index in range(min(len(transaction.inputs), _MAX_CHECKED_INPUTS)):
        found.add(_coverage_of_input(transaction, index))
        if Coverage.COVERED in found:
            return Coverage.COVERED
    is_all = len(transaction.inputs) <= _MAX_CHECKED_INPUTS
    is_omitted = is_all and found == {Coverage.OMITTED}
    return Coverage.OMITTED if is_omitted else Coverage.UNKNOWN


def _coverage_of_input(transaction: Transaction, index: int) -> Coverage:
    unlock = find_unlock(transaction.inputs[index].script)
    if unlock is None:
        return Coverage.UNKNOWN
    script = _pay_to_key(unlock.public_key)
    hash_type = unlock.hash_type
    if transaction.is_data_signed(index, hash_type) and _is_signed(
        unlock, transaction.sighash(index, script, hash_type)
    ):
        return Coverage.COVERED
    omitting = transaction.sighash(index, script, hash_type | OMIT_FLO_DATA)
    return Coverage.OMITTED if _is_signed(unlock, omitting) else Coverage.UNKNOWN


def _is_signed(unlock: Unlock, sighash: bytes) -> bool:
    """High S is as good as low S: the network took both for years."""
    try:
        key = _parse_key(unlock.public_key)
        if key.verify(unlock.signature, sighash, hasher=None):
            return True
        was_high, normal = signature_normalize(der_to_cdata(unlock.signature))
        return was_high and key.verify(cdata_to_der(normal), sighash, hasher=None)
    except ValueError:
        return False


@functools.lru_cache(maxsize=1_024)
def _parse_key(public_key: bytes) -> PublicKey:
    """The few keys of those who publish much are parsed once. Raises ValueError."""
    return PublicKey(public_key)


@functools.lru_cache(maxsize=1_024)
def _pay_to_key(public_key: bytes) -> bytes:
    return pay_to(hash160(public_key))
