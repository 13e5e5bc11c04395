"""Any usual image file is read, upright and in sRGB; what costs too much is refused unread."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig.image_files import decode_image, load_image

PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"


@pytest.fixture(scope="module")
def picture() -> Pillow.Image:
    """A smooth picture without symmetry, 120 x 80."""
    x, y = np.meshgrid(np.linspace(0, 1, 120), np.linspace(0, 1, 80))
    return Pillow.fromarray(np.stack([200 * x, 220 * y, 90 + 80 * x * y], 2).astype(np.uint8))


def coded(image: Pillow.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def off_by(data: bytes, wanted: Pillow.Image) -> float:
    """Mean difference of the image in `data` from the one wanted."""
    got = decode_image(data, "image")
    assert got.shape[:2] == (wanted.height, wanted.width)
    return float(np.abs(got.astype(float) - np.asarray(wanted.convert("RGB"))).mean())


def test_a_png_is_read_bit_for_bit() -> None:
    image = load_image(PORTRAITS / "ada.png")
    np.testing.assert_array_equal(image, np.asarray(Pillow.open(PORTRAITS / "ada.png")))
    assert image.flags.c_contiguous


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_formats(picture: Pillow.Image, kind: str) -> None:
    # GIF has 256 colours
    assert off_by(coded(picture, kind), picture) < (9.0 if kind == "GIF" else 3.0)


def test_heic(picture: Pillow.Image) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    assert off_by(coded(picture, "HEIF", quality=95), picture) < 3.0


def test_heic_without_its_decoder_is_named(
    picture: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Pillow.OPEN, "HEIF", raising=False)
    data = b"\0\0\0\x18ftypheic" + bytes(100)
    with pytest.raises(MediaError, match=r"got 112 bytes .*HEIC.*pip install pillow-heif"):
        decode_image(data, "image")
    assert off_by(coded(picture, "PNG"), picture) == 0.0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_modes(picture: Pillow.Image, mode: str) -> None:
    grey = picture.convert("L")
    if mode == "I;16":
        image = Pillow.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "F":
        image = Pillow.fromarray(np.asarray(grey).astype(np.float32) / 255.0)
    else:
        image = picture.convert(mode)
    wanted = picture if mode in ("P", "RGBA", "CMYK") else grey
    if mode == "1":
        wanted = image
    assert off_by(coded(image, "TIFF"), wanted) < (20.0 if mode == "P" else 1.5)


def test_cmyk_jpeg(picture: Pillow.Image) -> None:
    assert off_by(coded(picture.convert("CMYK"), "JPEG", quality=95), picture) < 4.0


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_clear_part_is_grey_whatever_colours_lie_there(kind: str) -> None:
    image = Pillow.new("RGBA", (16, 8), (255, 0, 0, 255))
    image.paste((0, 255, 0, 0), (0, 0, 8, 8))
    pixels = decode_image(coded(image, kind, lossless=True), "image")
    np.testing.assert_allclose(pixels[4, [2, 13]], [[128, 128, 128], [255, 0, 0]], atol=1)


def test_a_transparent_colour_of_a_palette() -> None:
    image = Pillow.new("P", (8, 8), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    image.paste(0, (0, 0, 4, 8))
    pixels = decode_image(coded(image, "PNG", transparency=0), "image")
    np.testing.assert_allclose(pixels[2, [1, 6]], [[128, 128, 128], [255, 0, 0]], atol=1)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(picture: Pillow.Image, kind: str) -> None:
    others = [Pillow.new("RGB", picture.size, (0, 0, 0))] * 2
    data = coded(picture, kind, save_all=True, append_images=others, duration=40)
    assert off_by(data, picture) < 9.0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_says_which_way_is_up(picture: Pillow.Image, kind: str, orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    tagged = picture.copy()
    tagged.getexif()[0x0112] = orientation
    transparent = kind in ("PNG", "WEBP")
    image = picture.convert("RGBA") if transparent else picture
    if transparent:
        image.putalpha(254)
    assert off_by(coded(image, kind, exif=exif), ImageOps.exif_transpose(tagged)) < 4.0


def test_colours_follow_the_profile(picture: Pillow.Image) -> None:
    """A profile that has red and blue exchanged: what is red in it looks blue."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * profile[131], 12)}
    red, blue = tags[b"rXYZ"] + 4, tags[b"bXYZ"] + 4
    profile[red : red + 8], profile[blue : blue + 8] = (
        profile[blue : blue + 8], profile[red : red + 8],
    )  # fmt: skip
    renamed = bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    exchanged = Pillow.merge("RGB", picture.split()[::-1])
    assert off_by(coded(picture, "PNG", icc_profile=renamed), exchanged) < 3.0
    assert off_by(coded(picture, "PNG", icc_profile=b"no profile"), picture) == 0.0


def damaged(picture: Pillow.Image) -> dict[str, bytes]:
    """Files that are none, or not whole, and what an error is to say of each."""
    return {
        "an empty file": b"",
        "none": b"no image at all",
        "PDF": b"%PDF-1.7" + bytes(50),
        "a video": b"\0\0\0\x18ftypisom" + bytes(50),
        "JPEG XL": b"\xff\x0a" + bytes(50),
        "truncated": coded(picture, "JPEG", quality=95)[:-900],
        "cannot be decoded": coded(picture, "PNG")[:-300],
        "800 bytes": coded(picture, "WEBP", lossless=True)[:800],
    }


def test_errors_say_what_came(picture: Pillow.Image) -> None:
    for said, data in damaged(picture).items():
        with pytest.raises(MediaError, match=said):
            decode_image(data, "image")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_changed_bytes_give_an_image_or_an_error(picture: Pillow.Image, kind: str) -> None:
    rng = np.random.default_rng(5)
    whole = np.frombuffer(coded(picture, kind), np.uint8)
    for _ in range(40):
        data = whole.copy()
        data[rng.integers(0, len(data), 6)] = rng.integers(0, 256, 6)
        try:
            image = decode_image(data.tobytes(), "image")
        except MediaError:
            continue
        assert image.shape[2] == 3


def png_of(width: int, height: int) -> bytes:
    """A black PNG of any size in a few kilobytes, without making it in memory."""

    def chunk(name: bytes, body: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + end

    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return png + chunk(b"IDAT", body) + chunk(b"IEND", b"")


COST = """
import resource, sys
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig.image_files import load_image
load_image(sys.argv[1])
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(load_image(sys.argv[2]).shape)
except MediaError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""


def cost(path: Path) -> tuple[str, int]:
    """What a fresh process says of the image at `path`, and the MiB that it took for it."""
    command = [sys.executable, "-c", COST, str(PORTRAITS / "ada.png"), str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    said, count = run.stdout.strip().splitlines()
    return said, int(count)


@pytest.mark.parametrize("side", [9_000, 20_000])
def test_what_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_of(side, side))
    assert path.stat().st_size < 500_000
    said, mib = cost(path)
    assert "at most 25 million pixels" in said
    assert f"{side} x {side}" in said or f"{side * side // 10**6} million" in said
    assert mib < 40


def test_the_largest_images_take_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(5_000, 5_000))
    said, mib = cost(tmp_path / "a.png")
    assert said == "(5000, 5000, 3)"
    assert mib < 300


def test_a_large_jpeg_is_halved_as_it_is_decoded(tmp_path: Path) -> None:
    image = Pillow.new("L", (6_001, 5_000), 90)
    image.paste(200, (0, 0, 3_000, 5_000))
    image.save(tmp_path / "a.jpg")
    loaded = load_image(tmp_path / "a.jpg")
    assert loaded.shape == (2_500, 3_001, 3)
    np.testing.assert_allclose(loaded[1_000, [1_000, 2_500], 0], [200, 90], atol=2)
    image.save(tmp_path / "b.jpg", progressive=True)  # which is held in memory as a whole
    with pytest.raises(MediaError, match="6001 x 5000"):
        load_image(tmp_path / "b.jpg")


def with_scans(data: bytes, count: int) -> bytes:
    """The progressive JPEG `data` with its last scan `count` times more."""
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * count + data[end:]


def test_jpegs_of_very_many_scans_are_refused(picture: Pillow.Image) -> None:
    data = coded(picture, "JPEG", progressive=True, quality=90)
    assert off_by(with_scans(data, 5), picture) < 5.0
    with pytest.raises(MediaError, match="50 scans"):
        decode_image(with_scans(data, 400), "image")
    with pytest.raises(MediaError, match="50 scans"):  # a scan each, and no end of segments
        decode_image(data[:2] + b"\xff\xe1\0\2" * 20_000 + data[2:], "image")


def test_a_preview_in_a_jpeg_is_no_scan_of_it(picture: Pillow.Image) -> None:
    exif = b"Exif\0\0" + coded(picture, "JPEG") * 20
    small = Pillow.fromarray(np.zeros((64, 64, 3), np.uint8))
    data = coded(small, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert off_by(data[:2] + segment + data[2:] + coded(picture, "JPEG") * 60, small) == 0.0


def test_an_image_for_which_there_is_no_memory_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*more: object, **most: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.Image.open", fail)
    with pytest.raises(MediaError, match=r"image for which there is memory.*make it smaller"):
        decode_image(b"an image", "portrait")
