from __future__ import annotations

import bz2
import gzip
import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from etdb.errors import InvalidDataError, UnavailableError
from etdb.microscopy import mrc
from etdb.microscopy.mrc import Compression, open_volume, read_header

WriteMrc = Callable[..., Path]
Ramp = NDArray[np.int16]


def read_all(path: Path) -> NDArray[np.generic]:
    with open_volume(path) as volume:
        return np.stack([volume.read(index) for index in range(volume.shape[0])])


REAL = {
    "EMD-3001.map": ((25, 43, 73), 2, (0.44825, 0.3925, 0.45875), ""),
    "EMD-3001.map.bz2": ((25, 43, 73), 2, (0.44825, 0.3925, 0.45875), ""),
    "emd_3001.map.gz": ((25, 43, 73), 2, (0.44825, 0.3925, 0.45875), ""),
    "EMD-3197.map": ((20, 20, 20), 2, (11.4, 11.4, 11.4), ""),
    "czdocs_aligned_tilt_series.st": ((31, 512, 512), 1, None, "missing or zero"),
    "czdocs_wbp_i16_crop.mrc": ((40, 256, 256), 1, (10.0, 10.0, 10.0), ""),
    "czdocs_wbp_int8.rec": ((160, 512, 512), 0, (10.0, 10.0, 10.0), ""),
    "pyseg_tomo_int16.mrc": ((4, 6, 5), 1, (2.5, 2.5, 2.5), "the word MAP"),
    "tomotwin_model_0_1BXN_1.mrc": ((37, 37, 37), 2, None, "missing or zero"),
    "warpylib_ctf_reference.mrc": ((2, 256, 129), 2, None, "1.0 Å"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_with_what_is_wrong_said(shared: Path, name: str) -> None:
    shape, mode, spacing, warning = REAL[name]

    header = read_header(shared / "data/mrc" / name)

    assert (header.shape, header.mode) == (shape, mode)
    assert header.voxel_spacing_angstrom == spacing
    assert bool(header.warnings) == bool(warning)
    assert warning in " ".join(header.warnings)


@pytest.mark.parametrize("name", REAL)
def test_images_of_real_files_match_the_statistics_in_their_headers(
    shared: Path, name: str
) -> None:
    path = shared / "data/mrc" / name
    data = path.read_bytes()
    unpack = {".gz": gzip.decompress, ".bz2": bz2.decompress}.get(path.suffix, bytes)
    lowest, highest, _ = struct.unpack("<3f", unpack(data)[76:88])

    images = read_all(path)

    assert (images.min(), images.max()) == pytest.approx((lowest, highest), rel=1e-6)


def test_every_real_file_has_its_test(shared: Path) -> None:
    assert {path.name for path in (shared / "data/mrc").iterdir()} == set(REAL)


def test_packed_and_plain_are_the_same_images(shared: Path) -> None:
    folder = shared / "data/mrc"

    plain = read_all(folder / "EMD-3001.map")

    assert np.array_equal(plain, read_all(folder / "EMD-3001.map.bz2"))
    assert np.array_equal(plain, read_all(folder / "emd_3001.map.gz"))
    header = read_header(folder / "emd_3001.map.gz")
    assert header.compression is Compression.GZIP


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "uint16", "float16"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_image_mode_is_read_in_both_byte_orders(
    write_mrc: WriteMrc, ramp: Ramp, dtype: str, order: str
) -> None:
    path = write_mrc(ramp.astype(dtype), order=order)

    assert np.array_equal(read_all(path), ramp)
    assert read_header(path).voxel_spacing_angstrom == (5, 5, 5)


def test_a_band_of_rows_is_read_without_the_rest(
    write_mrc: WriteMrc, ramp: Ramp
) -> None:
    with open_volume(write_mrc(ramp)) as volume:
        band = volume.read(1, 2, 4)

    assert np.array_equal(band, ramp[1, 2:4])


def test_float16_is_read_and_said(write_mrc: WriteMrc, ramp: Ramp) -> None:
    header = read_header(write_mrc(ramp.astype("float16")))

    assert header.warnings == (
        "values are 16-bit floats (mode 12): older programs cannot open them",
    )


@pytest.mark.parametrize(("flags", "expected"), [(0, 255), (1, -1)])
def test_imod_says_whether_its_bytes_are_signed(
    write_mrc: WriteMrc, flags: int, expected: int
) -> None:
    data = np.full((1, 2, 2), -1, np.int8)
    path = write_mrc(data, patches={152: struct.pack("<2i", 1146047817, flags)})

    assert read_all(path).tolist() == [[[expected, expected]] * 2]


def test_a_cut_off_file_is_said_and_its_whole_images_are_read(
    write_mrc: WriteMrc, ramp: Ramp
) -> None:
    path = write_mrc(ramp)
    path.write_bytes(path.read_bytes()[:-10])

    header = read_header(path)
    images = read_all(path)

    assert header.warnings == ("the file is cut off: 1134 bytes of 1144 are there",)
    assert np.array_equal(images, ramp[:2])


def test_a_real_tomogram_cut_off_is_still_read(shared: Path, tmp_path: Path) -> None:
    with (shared / "data/mrc/czdocs_wbp_int8.rec").open("rb") as file:
        (tmp_path / "cut.rec").write_bytes(file.read(1024 + 50 * 512 * 512 + 7))

    header = read_header(tmp_path / "cut.rec")

    assert header.shape == (160, 512, 512)
    assert "cut off" in header.warnings[0]
    with open_volume(tmp_path / "cut.rec") as volume:
        assert volume.shape == (50, 512, 512)


def test_a_header_only_is_said_and_holds_no_image(
    write_mrc: WriteMrc, ramp: Ramp
) -> None:
    path = write_mrc(ramp)
    path.write_bytes(path.read_bytes()[:1024])

    header = read_header(path)

    assert header.shape == (3, 4, 5)
    assert header.warnings == ("the file is a header only: no image follows it",)
    with pytest.raises(InvalidDataError, match="no whole image"), open_volume(path):
        pass


def test_bytes_after_the_images_are_said(write_mrc: WriteMrc, ramp: Ramp) -> None:
    path = write_mrc(ramp)
    path.write_bytes(path.read_bytes() + b"more")

    header = read_header(path)

    assert header.warnings == ("4 bytes follow the end of the images",)
    assert np.array_equal(read_all(path), ramp)


def test_a_missing_map_word_and_an_odd_stamp_are_said(
    write_mrc: WriteMrc, ramp: Ramp
) -> None:
    path = write_mrc(ramp, patches={208: bytes(4), 212: b"\x44\x20\x20\x20"})

    header = read_header(path)

    assert np.array_equal(read_all(path), ramp)
    assert header.warnings == (
        "the word MAP is missing from the header: an old or unusual program",
        "the header does not state its byte order (machine stamp 44 20 20 20):"
        " read as little-endian",
    )


@pytest.mark.parametrize("stamp", [bytes(4), b"\x44\x44\0\0"])
def test_a_wrong_stamp_does_not_hide_a_big_endian_file(
    write_mrc: WriteMrc, ramp: Ramp, stamp: bytes
) -> None:
    path = write_mrc(ramp, order=">", patches={212: stamp})

    assert np.array_equal(read_all(path), ramp)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ((0.0, 0.0, 0.0), "missing or zero"),
        ((5.0, 4.0, 3.0), "1.0 Å"),
        ((-25.0, 20.0, 15.0), "missing or zero"),
        ((float("nan"), 20.0, 15.0), "missing or zero"),
        ((float("inf"), 20.0, 15.0), "missing or zero"),
    ],
)
def test_voxel_sizes_that_mean_unknown_are_unknown(
    write_mrc: WriteMrc, ramp: Ramp, cell: tuple[float, float, float], said: str
) -> None:
    header = read_header(write_mrc(ramp, patches={40: struct.pack("<3f", *cell)}))

    assert header.voxel_spacing_angstrom is None
    assert said in header.warnings[0]


def test_no_grid_means_no_voxel_size(write_mrc: WriteMrc, ramp: Ramp) -> None:
    header = read_header(write_mrc(ramp, patches={28: bytes(12)}))

    assert header.voxel_spacing_angstrom is None


def test_separate_images_need_no_third_spacing(write_mrc: WriteMrc, ramp: Ramp) -> None:
    patches = {88: bytes(4), 48: bytes(4)}

    header = read_header(write_mrc(ramp, patches=patches))

    assert header.is_stack
    assert header.voxel_spacing_angstrom == (5, 5, 5)


def test_an_extended_header_is_skipped(write_mrc: WriteMrc, ramp: Ramp) -> None:
    path = write_mrc(ramp, patches={92: struct.pack("<i", 160)})
    data = path.read_bytes()
    path.write_bytes(data[:1024] + b"x" * 160 + data[1024:])

    assert np.array_equal(read_all(path), ramp)
    assert read_header(path).warnings == ()


def test_sizes_beyond_32_bits_do_not_overflow(write_mrc: WriteMrc, ramp: Ramp) -> None:
    huge = struct.pack("<4i", 100_000, 100_000, 1_000, 2)

    header = read_header(write_mrc(ramp, patches={0: huge}))

    assert "of 40000000001024 are there" in header.warnings[-1]


def test_labels_are_read_as_text(write_mrc: WriteMrc, ramp: Ramp) -> None:
    label = "Gatan Präparat".encode("latin-1").ljust(80)

    header = read_header(
        write_mrc(ramp, patches={220: struct.pack("<i", 7), 224: label})
    )

    assert header.labels == ("Gatan Präparat",)


@pytest.mark.parametrize(
    ("mode", "said"), [(4, "Fourier"), (101, "4-bit"), (9, "unknown")]
)
def test_modes_without_a_picture_are_said(
    write_mrc: WriteMrc, ramp: Ramp, mode: int, said: str
) -> None:
    path = write_mrc(ramp, patches={12: struct.pack("<i", mode)})

    assert said in read_header(path).warnings[0]
    with pytest.raises(InvalidDataError, match="no image"), open_volume(path):
        pass


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        bytes(1024),
        b"text " * 300,
        b"\xff" * 2000,
        b"\x1f\x8b" + b"?" * 99,
    ],
    ids=["empty", "short", "zeros", "text", "ones", "broken gzip"],
)
def test_what_is_no_mrc_is_said_and_never_raised(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "not.mrc"
    path.write_bytes(content)

    header = read_header(path)

    assert header.shape is None
    assert len(header.warnings) == 1
    with pytest.raises(InvalidDataError), open_volume(path):
        pass


def test_a_cut_off_packed_file_gives_the_images_that_are_whole(
    tmp_path: Path, write_mrc: WriteMrc
) -> None:
    noise = np.random.default_rng(1).integers(-99, 99, (40, 64, 64)).astype(np.int16)
    packed = gzip.compress(write_mrc(noise).read_bytes())
    path = tmp_path / "volume.mrc.gz"
    path.write_bytes(packed[: len(packed) // 2])

    images = read_all(path)

    assert 10 < len(images) < 30
    assert np.array_equal(images, noise[: len(images)])


def test_a_broken_bzip2_file_is_said(tmp_path: Path, write_mrc: WriteMrc) -> None:
    packed = bz2.compress(write_mrc(np.zeros((2, 8, 8), np.int16)).read_bytes())
    path = tmp_path / "volume.mrc.bz2"
    path.write_bytes(packed[:4] + b"!" + packed[5:])

    header = read_header(path)

    assert header.compression is Compression.BZIP2
    assert "only 0 bytes can be read" in header.warnings[0]


def test_unpacking_stops_where_the_header_says_the_images_end() -> None:
    bomb = gzip.compress(bytes(1 << 24))

    held, whole = io.BytesIO(), io.BytesIO()
    mrc._unpack(gzip.GzipFile(fileobj=io.BytesIO(bomb)), held, 5000)
    mrc._unpack(gzip.GzipFile(fileobj=io.BytesIO(bomb)), whole, sys.maxsize)

    assert held.tell() == 5000
    assert whole.tell() == 1 << 24


def test_a_file_that_shrinks_while_it_is_read_is_an_error(
    write_mrc: WriteMrc, ramp: Ramp
) -> None:
    path = write_mrc(ramp)

    with open_volume(path) as volume:
        path.write_bytes(path.read_bytes()[:1030])
        with pytest.raises(UnavailableError, match="became shorter"):
            volume.read(2)


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot read"):
        read_header(tmp_path / "none.mrc")
    with pytest.raises(UnavailableError, match="cannot read"):
        read_header(tmp_path)
