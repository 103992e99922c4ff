"""MRC files made by hand, so that every byte of a header can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

MODES = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}
Order = Literal["<", ">"]
WriteMrc = Callable[..., Path]


def encode_mrc(
    data: NDArray[np.generic], patches: Mapping[int, bytes], order: Order
) -> bytes:
    """A right MRC2014 file, with some bytes of its header overwritten."""
    nz, ny, nx = data.shape
    header = bytearray(1024)
    struct.pack_into(f"{order}4i", header, 0, nx, ny, nz, MODES[data.dtype.name])
    struct.pack_into(f"{order}3i3f", header, 28, nx, ny, nz, nx * 5, ny * 5, nz * 5)
    struct.pack_into(f"{order}3i", header, 64, 1, 2, 3)
    struct.pack_into(f"{order}i", header, 88, 1)
    header[208:212] = b"MAP "
    header[212:216] = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
    for offset, patch in patches.items():
        header[offset : offset + len(patch)] = patch
    return bytes(header) + data.astype(data.dtype.newbyteorder(order)).tobytes()


@pytest.fixture
def write_mrc(tmp_path: Path) -> WriteMrc:
    """write_mrc(data, name=, patches={offset: bytes}, order=) -> path"""

    def write(
        data: NDArray[np.generic],
        name: str = "volume.mrc",
        patches: Mapping[int, bytes] | None = None,
        order: Order = "<",
    ) -> Path:
        path = tmp_path / name
        path.write_bytes(encode_mrc(data, patches or {}, order))
        return path

    return write


@pytest.fixture
def ramp() -> NDArray[np.int16]:
    """A small volume in which every value differs."""
    return np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
