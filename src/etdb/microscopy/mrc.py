"""MRC files as they are found: the header in words, the images a band at a time.

Not a validator and not a writer. Headers that break the format (MRC2014) are
read as far as they make sense, and `MrcFile.warnings` says what is wrong.
Images are read, not memory-mapped: a file that is cut off meanwhile is an
error here, where under a map it would kill the process.

    header = read_header(path)
    with open_volume(path) as volume:
        middle = volume.read(volume.shape[0] // 2)
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import math
import os
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE  # type: ignore[import-untyped]
from numpy.typing import NDArray

from etdb.durable import disk_errors
from etdb.errors import InvalidDataError, UnavailableError

HEADER_BYTES = 1024
FLOAT16_MODE = 12
_IMAGE_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", FLOAT16_MODE: "f2"}
_OTHER_MODES = {
    3: "a Fourier transform of integers",
    4: "a Fourier transform",
    16: "colour images",
    101: "4-bit values",
}
Packed = gzip.GzipFile | bz2.BZ2File
Order = Literal["<", ">"]
_LITTLE: Order = "<"
_BIG: Order = ">"
_BYTE_ORDERS = {0x44: _LITTLE, 0x11: _BIG}
_USUAL_STAMPS = {(0x44, 0x44), (0x44, 0x41), (0x11, 0x11)}
_IMOD_STAMP = 1146047817
_IMOD_SIGNED_BYTES = 1
_COPY_BYTES = 1 << 20


class Compression(StrEnum):
    """How a file is packed as a whole."""

    GZIP = "gzip"
    BZIP2 = "bzip2"


@dataclass(frozen=True)
class MrcFile:
    """What one MRC file says about itself; None means it does not say."""

    path: Path
    shape: tuple[int, int, int] | None = None
    """Sections, rows, columns (nz, ny, nx), as the header promises them."""
    mode: int | None = None
    dtype: np.dtype[Any] | None = None
    """The type of one value; None where the mode holds no plain image."""
    data_offset_bytes: int = HEADER_BYTES
    voxel_spacing_angstrom: tuple[float, float, float] | None = None
    """Along x, y, z; 0 and 1.0 in the header mean unknown."""
    is_stack: bool = False
    """Space group 0: separate images. Old programs write it for volumes too."""
    labels: tuple[str, ...] = ()
    compression: Compression | None = None
    warnings: tuple[str, ...] = ()


class Volume:
    """The images of an open MRC file, read a band of rows at a time."""

    def __init__(self, file: IO[bytes], header: MrcFile, whole_sections: int) -> None:
        assert header.shape is not None
        assert header.dtype is not None
        self.shape = (whole_sections, *header.shape[1:])
        self.dtype = header.dtype
        self._header = header
        self._file = file

    def read(
        self, section: int, first_row: int = 0, end_row: int | None = None
    ) -> NDArray[Any]:
        """Rows of one section, shape (rows, nx), in the file's own type.

        Raises UnavailableError where the file has become shorter.
        """
        _, ny, nx = self.shape
        rows = (ny if end_row is None else end_row) - first_row
        row_bytes = nx * self.dtype.itemsize
        skipped_bytes = (section * ny + first_row) * row_bytes
        with disk_errors(self._header.path, "read"):
            self._file.seek(self._header.data_offset_bytes + skipped_bytes)
            data = self._file.read(rows * row_bytes)
        if len(data) != rows * row_bytes:
            msg = f"{self._header.path} became shorter while it was read"
            raise UnavailableError(
                msg, hint="wait until nothing writes to it, then repeat"
            )
        return np.frombuffer(data, self.dtype).reshape(rows, nx)


def read_header(path: Path) -> MrcFile:
    """The header of an MRC file, plain or packed with gzip or bzip2.

    Whatever is wrong with the bytes becomes a warning. Raises
    UnavailableError only where the disk refuses to read them.
    """
    with disk_errors(path, "read"), path.open("rb") as raw:
        packing = _compression(raw)
        size = os.fstat(raw.fileno()).st_size if packing is None else None
        header = _read_start(raw, packing)
    found = replace(_parse_header(path, header), compression=packing)
    if size is None or found.shape is None:
        return found
    return replace(found, warnings=found.warnings + _check_size(found, size))


@contextlib.contextmanager
def open_volume(path: Path) -> Iterator[Volume]:
    """The images of an MRC file; of a cut-off one, those that are whole.

    A packed file is unpacked into a temporary one first, never beyond what its
    header promises. Raises InvalidDataError where there is no image to read,
    UnavailableError where the disk refuses.
    """
    header = read_header(path)
    if header.shape is None or header.dtype is None:
        msg = f"{path.name} holds no image that can be read"
        raise InvalidDataError(msg, hint="; ".join(header.warnings))
    sections, ny, nx = header.shape
    section_bytes = ny * nx * header.dtype.itemsize
    with contextlib.ExitStack() as stack:
        with disk_errors(path, "read"):
            file: IO[bytes] = stack.enter_context(path.open("rb"))
            if header.compression is not None:
                end = header.data_offset_bytes + sections * section_bytes
                target = stack.enter_context(tempfile.TemporaryFile())
                _unpack(_unpacked(file, header.compression), target, end)
                file = target
            size = file.seek(0, os.SEEK_END)
        whole = min(sections, (size - header.data_offset_bytes) // section_bytes)
        if whole < 1:
            msg = f"{path.name} holds no whole image"
            raise InvalidDataError(msg, hint="; ".join(header.warnings))
        yield Volume(file, header, whole)


def _compression(raw: IO[bytes]) -> Compression | None:
    magic = raw.read(3)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return Compression.GZIP
    return Compression.BZIP2 if magic == b"BZh" else None


def _unpacked(raw: IO[bytes], packing: Compression) -> Packed:
    return (
        gzip.GzipFile(fileobj=raw) if packing is Compression.GZIP else bz2.BZ2File(raw)
    )


def _read_start(raw: IO[bytes], packing: Compression | None) -> bytes:
    if packing is None:
        return raw.read(HEADER_BYTES)
    start = io.BytesIO()
    _unpack(_unpacked(raw, packing), start, HEADER_BYTES)
    return start.getvalue()


def _unpack(packed: Packed, target: IO[bytes], size: int) -> None:
    """Copy up to `size` bytes, or as many as come before the packing breaks."""
    while (missing := size - target.tell()) > 0:
        try:
            data = packed.read1(min(missing, _COPY_BYTES))
        except (EOFError, OSError, zlib.error):  # OSError: how both report bad data
            return
        if not data:
            return
        target.write(data)


def _parse_header(path: Path, header: bytes) -> MrcFile:
    if len(header) < HEADER_BYTES:
        warning = f"only {len(header)} bytes can be read: an MRC header alone has 1024"
        return MrcFile(path, warnings=(warning,))
    order = _byte_order(header)
    fields = np.frombuffer(header, HEADER_DTYPE.newbyteorder(order or _LITTLE))[0]
    shape = (int(fields["nz"]), int(fields["ny"]), int(fields["nx"]))
    if order is None:
        warning = f"this is no MRC header: the sizes in it would be {shape}"
        return MrcFile(path, warnings=(warning,))
    spacing = _voxel_spacing(fields)
    return MrcFile(
        path,
        shape=shape,
        mode=int(fields["mode"]),
        dtype=_image_type(fields, order),
        data_offset_bytes=HEADER_BYTES + int(fields["nsymbt"]),
        voxel_spacing_angstrom=spacing,
        is_stack=int(fields["ispg"]) == 0,
        labels=_labels(fields),
        warnings=(
            *_mark_warnings(fields, order),
            *_mode_warnings(int(fields["mode"])),
            *(_spacing_warnings(fields) if spacing is None else ()),
        ),
    )


def _byte_order(header: bytes) -> Order | None:
    """The byte order in which a header makes sense, its own stamp's first."""
    stamped = _BYTE_ORDERS.get(header[212], _LITTLE)
    for order in (stamped, _LITTLE, _BIG):
        fields = np.frombuffer(header, HEADER_DTYPE.newbyteorder(order))[0]
        if (
            min(fields["nx"], fields["ny"], fields["nz"]) > 0
            and 0 <= fields["mode"] <= 255
            and fields["nsymbt"] >= 0
            and all(0 <= fields[name] <= 3 for name in ("mapc", "mapr", "maps"))
        ):
            return order
    return None


def _image_type(fields: Any, order: Order) -> np.dtype[Any] | None:
    name = _IMAGE_TYPES.get(int(fields["mode"]))
    if name == "i1" and _has_unsigned_bytes(fields, order):
        name = "u1"
    return None if name is None else np.dtype(name).newbyteorder(order)


def _has_unsigned_bytes(fields: Any, order: Order) -> bool:
    """IMOD marks its files at byte 152 and says at 156 whether bytes are signed."""
    stamp, flags = np.frombuffer(fields.tobytes()[152:160], f"{order}i4")
    return bool(stamp == _IMOD_STAMP and not flags & _IMOD_SIGNED_BYTES)


def _voxel_spacing(fields: Any) -> tuple[float, float, float] | None:
    def spacing(axis: str) -> float:
        cells = int(fields[f"m{axis}"])
        length = float(fields["cella"][axis])
        value = length / cells if cells > 0 else 0.0
        return float(f"{value:.6g}") if math.isfinite(value) and value > 0 else 0.0

    x, y, z = spacing("x"), spacing("y"), spacing("z")
    if z == 0 and int(fields["ispg"]) == 0:
        z = x  # separate images have no third spacing
    return None if 0 in (x, y, z) or (x, y, z) == (1, 1, 1) else (x, y, z)


def _labels(fields: Any) -> tuple[str, ...]:
    count = max(0, min(int(fields["nlabl"]), 10))
    texts = (bytes(label).decode("latin-1") for label in fields["label"][:count])
    return tuple(text.strip(" \0") for text in texts if text.strip(" \0"))


def _mark_warnings(fields: Any, order: Order) -> Iterator[str]:
    if bytes(fields["map"])[:3] != b"MAP":
        yield "the word MAP is missing from the header: an old or unusual program"
    stamp = bytes(fields["machst"])
    if (stamp[0], stamp[1]) not in _USUAL_STAMPS:
        read_as = "little" if order == _LITTLE else "big"
        yield (
            f"the header does not state its byte order (machine stamp"
            f" {stamp.hex(' ')}): read as {read_as}-endian"
        )


def _mode_warnings(mode: int) -> Iterator[str]:
    if mode == FLOAT16_MODE:
        yield "values are 16-bit floats (mode 12): older programs cannot open them"
    elif mode not in _IMAGE_TYPES:
        content = _OTHER_MODES.get(mode, "values of an unknown kind")
        yield f"the file holds {content} (mode {mode}): no picture can be made of it"


def _spacing_warnings(fields: Any) -> Iterator[str]:
    is_one = float(fields["cella"]["x"]) == float(fields["mx"]) != 0
    said = "1.0 Å, which stands for unknown" if is_one else "missing or zero"
    yield f"the voxel size in the header is {said}"


def _check_size(header: MrcFile, size: int) -> tuple[str, ...]:
    """Warnings where a plain file is not as long as its header says."""
    if header.shape is None or header.dtype is None:
        return ()
    expected = header.data_offset_bytes + math.prod(
        header.shape, start=header.dtype.itemsize
    )
    if size == expected:
        return ()
    if size <= header.data_offset_bytes:
        return ("the file is a header only: no image follows it",)
    if size < expected:
        return (f"the file is cut off: {size} bytes of {expected} are there",)
    return (f"{size - expected} bytes follow the end of the images",)
