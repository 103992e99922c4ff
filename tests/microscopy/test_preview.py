from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from etdb.errors import InvalidDataError, UnavailableError
from etdb.microscopy import preview
from etdb.microscopy.preview import (
    find_zero_tilt,
    key_image,
    render,
    write_key_images,
)
from etdb.testing.resources import peak_bytes

WriteMrc = Callable[..., Path]
Grey = NDArray[np.uint8]

PICTURED = (
    *("EMD-3001.map", "emd_3001.map.gz", "EMD-3001.map.bz2", "EMD-3197.map"),
    *("czdocs_aligned_tilt_series.st", "czdocs_wbp_i16_crop.mrc"),
    *("pyseg_tomo_int16.mrc", "tomotwin_model_0_1BXN_1.mrc"),
    "warpylib_ctf_reference.mrc",
)


class InMemory:
    """A volume that remembers nothing of what was read from it."""

    def __init__(self, data: NDArray[np.generic]) -> None:
        self.data = data
        self.shape: tuple[int, int, int] = data.shape

    def read(
        self, section: int, first_row: int = 0, end_row: int | None = None
    ) -> NDArray[np.generic]:
        return self.data[section, first_row:end_row]


def grey(picture: Image.Image) -> Grey:
    return np.asarray(picture)


def jpeg_size(path: Path) -> tuple[int, int]:
    with Image.open(path, formats=["JPEG"]) as picture:
        return picture.size


def noise(*shape: int) -> NDArray[np.int16]:
    values = np.random.default_rng(7).normal(0, 1000, shape)
    return values.astype(np.int16)


def test_the_key_image_of_a_real_tomogram_is_the_example(shared: Path) -> None:
    with Image.open(shared / "data/media/example_keyimg.jpg") as example:
        expected = grey(example)

    picture = key_image(shared / "data/mrc/czdocs_wbp_int8.rec")

    difference = np.abs(grey(picture).astype(int) - expected)
    assert expected.shape == grey(picture).shape
    assert difference.mean() < 4
    assert np.corrcoef(grey(picture).ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", PICTURED)
def test_every_real_file_gives_a_picture(shared: Path, name: str) -> None:
    picture = key_image(shared / "data/mrc" / name)

    assert picture.mode == "L"
    assert np.ptp(grey(picture)) > 60


def test_only_the_central_forty_slices_count(write_mrc: WriteMrc) -> None:
    volume = noise(60, 16, 16)
    other = volume.copy()
    other[:10], other[50:] = 9, -9

    first = key_image(write_mrc(volume, "a.rec"))
    second = key_image(write_mrc(other, "b.rec"))

    assert np.array_equal(grey(first), grey(second))


def test_contrast_is_the_mean_and_three_sigma(write_mrc: WriteMrc) -> None:
    volume = noise(1, 200, 200)

    found = grey(key_image(write_mrc(volume, "a.rec"))).astype(float)

    mean, sigma = volume.mean(), volume.std()
    expected = ((volume[0] - mean) / (6 * sigma) + 0.5).clip(0, 1) * 255
    assert np.abs(found - expected).max() <= 0.51


def test_protein_stays_dark_and_rows_stay_in_order(write_mrc: WriteMrc) -> None:
    volume = np.zeros((5, 8, 8), np.int16)
    volume[:, 1, 2] = -100

    found = grey(key_image(write_mrc(volume, "a.rec")))

    assert np.argwhere(found < 100).tolist() == [[1, 2]]


def test_flat_data_is_middle_grey(write_mrc: WriteMrc) -> None:
    found = grey(key_image(write_mrc(np.full((4, 5, 6), 77, np.int16))))

    assert set(found.ravel().tolist()) == {128}


def test_values_that_are_not_numbers_do_not_spoil_the_rest(
    write_mrc: WriteMrc,
) -> None:
    volume = noise(1, 20, 20).astype(np.float32)
    volume[0, 3, 3], volume[0, 4, 4] = np.nan, np.inf
    void = np.full((1, 4, 4), np.nan, np.float32)

    found = grey(key_image(write_mrc(volume, "a.rec")))
    nothing = grey(key_image(write_mrc(void, "b.rec")))

    assert found[3, 3] == found[4, 4] == 128
    assert found.std() > 30
    assert set(nothing.ravel().tolist()) == {128}


def test_a_file_without_images_gives_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.rec").write_bytes(b"not an MRC file")

    with pytest.raises(InvalidDataError):
        key_image(tmp_path / "a.rec")


def test_a_real_tomogram_cut_off_still_has_its_picture(
    shared: Path, tmp_path: Path
) -> None:
    with (shared / "data/mrc/czdocs_wbp_int8.rec").open("rb") as file:
        (tmp_path / "cut.rec").write_bytes(file.read(20 << 20))

    assert key_image(tmp_path / "cut.rec").size == (512, 512)


def test_large_images_are_binned_and_bands_leave_no_seam() -> None:
    waves = np.sin(np.arange(9000) / 300)
    image = (waves[:, np.newaxis] + waves[np.newaxis, :8001]).astype(np.float32)

    picture = render(InMemory(image[np.newaxis]), range(1))

    assert picture.size == (2667, 3000)
    found = grey(picture).astype(float)
    expected = ((image[1::3, 1::3] - image.mean()) / (6 * image.std()) + 0.5) * 255
    assert np.abs(found - expected).max() < 3


def test_memory_is_bounded_by_the_picture_not_the_volume(write_mrc: WriteMrc) -> None:
    path = write_mrc(noise(200, 256, 256), "a.rec")

    assert peak_bytes(lambda: key_image(path)) < path.stat().st_size / 4


def test_absurd_sizes_are_refused() -> None:
    broad = np.broadcast_to(np.int8(1), (1, 1, 1 << 18))

    with pytest.raises(InvalidDataError, match="too large"):
        render(InMemory(broad), range(1))


def test_three_sizes_are_written_under_the_original_names(
    write_mrc: WriteMrc, tmp_path: Path
) -> None:
    written = write_key_images(write_mrc(noise(3, 900, 1200)), tmp_path, "ab1")

    sizes = {name: jpeg_size(path) for name, path in written.items()}
    assert sizes == {
        "keyimg_ab1.jpg": (1024, 768),
        "keyimg_ab1_m.jpg": (512, 384),
        "keyimg_ab1_s.jpg": (160, 120),
    }


def test_pictures_are_never_larger_than_the_data(
    write_mrc: WriteMrc, tmp_path: Path
) -> None:
    written = write_key_images(write_mrc(noise(3, 200, 100)), tmp_path, "x")

    sizes = [jpeg_size(path) for path in written.values()]
    assert sizes == [(100, 200), (100, 200), (80, 160)]


def test_the_same_data_gives_the_same_bytes(
    write_mrc: WriteMrc, tmp_path: Path
) -> None:
    path = write_mrc(noise(50, 300, 300))
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()

    first, second = (write_key_images(path, folder, "x") for folder in folders)

    for name, picture in first.items():
        assert picture.read_bytes() == second[name].read_bytes()


@pytest.mark.parametrize(
    "sid", ["../../up", "a/b", "a\\b", "new\nline", "\0", "ä" * 300]
)
def test_a_sid_cannot_lead_out_of_the_folder(
    write_mrc: WriteMrc, tmp_path: Path, sid: str
) -> None:
    folder = tmp_path / "derived"
    folder.mkdir()

    written = write_key_images(write_mrc(noise(1, 8, 8)), folder, sid)

    assert sorted(folder.iterdir()) == sorted(written.values())
    assert len(written) == 3


def test_without_that_care_a_sid_would_lead_out(tmp_path: Path) -> None:
    careless = (tmp_path / "derived" / "keyimg_/../../up.jpg").resolve()
    careful = tmp_path / "derived" / f"keyimg_{preview._safe_name('/../../up')}.jpg"

    assert careless.parent != tmp_path / "derived"
    assert careful.resolve().parent == tmp_path / "derived"


def test_a_folder_that_cannot_be_written_is_unavailable(
    write_mrc: WriteMrc, tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError):
        write_key_images(write_mrc(noise(1, 8, 8)), tmp_path / "none", "x")


def test_a_tilt_series_shows_its_image_nearest_zero(
    write_mrc: WriteMrc, tmp_path: Path
) -> None:
    series = noise(3, 16, 16)
    path = write_mrc(series, "ts.mrc")
    (tmp_path / "ts.rawtlt").write_text("0.5\n-3\n3\n")

    shown = grey(key_image(path))

    single = write_mrc(series[:1], "one.rec")
    assert np.array_equal(shown, grey(key_image(single)))


def test_an_mdoc_beside_a_stack_tells_its_angles(
    write_mrc: WriteMrc, tmp_path: Path
) -> None:
    path = write_mrc(noise(3, 4, 4), "ts.mrc")
    sections = [f"[ZValue = {n}]\nTiltAngle = {n - 2}" for n in range(3)]
    (tmp_path / "ts.mrc.mdoc").write_text("\n".join(sections))

    assert find_zero_tilt(path, 3) == 2


def test_angles_of_another_file_do_not_make_a_volume_a_series(
    write_mrc: WriteMrc, tmp_path: Path
) -> None:
    (tmp_path / "ts.tlt").write_text("-3\n0\n3\n")

    assert find_zero_tilt(tmp_path / "ts.rec", 3) is None
    assert find_zero_tilt(tmp_path / "ts.mrc", 4) is None
    assert find_zero_tilt(tmp_path / "ts.st", 4) == 2
    assert find_zero_tilt(tmp_path / "other.st", 31) == 15
