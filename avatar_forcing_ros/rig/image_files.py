"""Images from files: any usual format, upright, in sRGB, at a bounded cost."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms, UnidentifiedImageError

from avatar_forcing_ros.errors import MediaError

Image = NDArray[np.uint8]

IMAGE_FILE = "an image file (PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF, BMP)"
MAX_PIXELS = 25_000_000  # that an image comes with; larger JPEGs are halved as they are decoded
MAX_JPEG_PIXELS = 4 * MAX_PIXELS
MAX_WEBP_PIXELS = 16_000_000  # its decoder takes more memory than others
MAX_FILE_BYTES = 100_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "HEIF", "AVIF", "GIF", "TIFF", "BMP")
_MAX_SCANS, _MAX_SEGMENTS = 50, 10_000  # of a JPEG; a progressive one has about ten scans
_MAX_SCANS_BYTES = 25_000_000  # of a JPEG of several scans, each of which is a pass over all
_STRIP_ROWS = 256  # that are converted at once: no second copy of a large image in memory
_BEHIND_GREY = 128  # what shows through transparent pixels
_ORIENTATION_TAG = 0x0112  # of EXIF
_NOT_STUFFED = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a JPEG marker that ends a scan
_SIGNATURES = {  # what is often taken for an image, or is one that is not read
    b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL", b"8BPS": "Photoshop", b"%PDF": "PDF",
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"<svg": "SVG", b"<?xml": "XML", b"PK\3\4": "ZIP",
    b"\x1a\x45\xdf\xa3": "Matroska video", b"<!DOC": "HTML", b"<html": "HTML",
}  # fmt: skip

# Pillow warns of sizes that are allowed here
warnings.filterwarnings("ignore", category=Pillow.DecompressionBombWarning)


def load_image(path: str | Path) -> Image:
    """The image at `path`, upright by its EXIF tag, in sRGB, ``[H, W, 3]`` uint8 RGB.

    Of an animation the first frame; transparent pixels are laid over grey. JPEGs of more than
    MAX_PIXELS come at half their size, so none has more. Raises MediaError if the file is missing
    or no image, damaged, or too large, which is told before it is decoded.
    """
    source = Path(path)
    try:
        size = source.stat().st_size
        _check_file_size(size, str(source))
        data = source.read_bytes()
    except OSError as error:
        raise MediaError(
            str(source), expected=IMAGE_FILE, got=error.strerror or "an unreadable file",
            remedy="check the path",
        ) from None  # fmt: skip
    return decode_image(data, str(source))


def decode_image(data: bytes, what: str) -> Image:
    """The image in the bytes of a file, as `load_image` does; `what` names it in errors."""
    _check_file_size(len(data), what)
    scans = _jpeg_scans(data) if data[:2] == b"\xff\xd8" else 1
    try:
        with Pillow.open(io.BytesIO(data), formats=_formats()) as opened:
            _check_cost(opened, scans, len(data), what)
            if opened.width * opened.height > MAX_PIXELS:
                opened.draft(None, (opened.width // 2, opened.height // 2))
            return _pixels(opened)
    except MediaError:
        raise
    except MemoryError:
        raise MediaError(
            what, expected="an image for which there is memory", got="a larger one",
            remedy="make it smaller: a face needs some 1000 pixels",
        ) from None  # fmt: skip
    except Pillow.DecompressionBombError as error:  # beyond what Pillow itself opens
        count = int("".join(re.findall(r"\d+", str(error))[:1]) or 0)
        raise _too_large(what, f"{count / 1e6:.0f} million pixels") from None
    except UnidentifiedImageError:
        raise MediaError(
            what, expected=IMAGE_FILE, got=_what_came(data), remedy=_remedy(data)
        ) from None
    except Exception as error:  # what decoders raise on damaged files is of any kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MediaError(
            what, expected="a whole and undamaged image file",
            got=f"{len(data)} bytes that cannot be decoded ({reason})",
            remedy="save or download it again, as PNG or JPEG",
        ) from None  # fmt: skip


def _check_file_size(count: int, what: str) -> None:
    if count > MAX_FILE_BYTES:
        raise MediaError(
            what, expected=f"an image file of at most {MAX_FILE_BYTES // 10**6} MB",
            got=f"{count / 1e6:.0f} MB", remedy="make it smaller: a face needs some 1000 pixels",
        )  # fmt: skip


def _check_cost(image: Pillow.Image, scans: int, count_bytes: int, what: str) -> None:
    """MediaError for an image that would take too much time or memory, by its header alone."""
    limit = MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS
    if image.format in ("JPEG", "MPO") and scans == 1:
        limit = MAX_JPEG_PIXELS  # decoded row by row; several scans are held as a whole
    if image.width * image.height > limit:
        raise _too_large(what, f"{image.width} x {image.height}", limit)
    if scans > _MAX_SCANS or (scans > 1 and count_bytes > _MAX_SCANS_BYTES):
        raise MediaError(
            what,
            expected=f"a progressive JPEG of at most {_MAX_SCANS} scans and "
            f"{_MAX_SCANS_BYTES // 10**6} MB",
            got=f"{'more' if scans > _MAX_SCANS else scans} scans and {count_bytes / 1e6:.0f} MB",
            remedy="save it again as PNG or as a JPEG that is not progressive",
        )
    if image.format == "BMP" and image.info.get("compression") in (1, 2):
        raise MediaError(
            what, expected="a BMP without compression", got="one with run lengths",
            remedy="save it as PNG",
        )  # fmt: skip


def _too_large(what: str, got: str, limit: int = MAX_PIXELS) -> MediaError:
    return MediaError(
        what, expected=f"at most {limit / 1e6:g} million pixels in this format", got=got,
        remedy="make it smaller: a face needs some 1000 pixels",
    )  # fmt: skip


def _jpeg_scans(data: bytes) -> int:
    """How many scans the JPEG in `data` has, the counting ends early where they are too many."""
    at, scans = 2, 0
    for _ in range(_MAX_SEGMENTS):
        marker = data[at + 1 : at + 2]
        if data[at : at + 1] != b"\xff" or marker in (b"", b"\xd9"):
            return scans
        if marker == b"\xff":  # fill byte
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xda":
            scans += 1
            following = _NOT_STUFFED.search(data, at)
            if following is None or scans > _MAX_SCANS:
                return scans
            at = following.start()
    return _MAX_SCANS + 1


def _formats() -> list[str]:
    """Those that can be read here; HEIC is read where its decoder is installed."""
    Pillow.init()
    if "HEIF" not in Pillow.OPEN:
        with contextlib.suppress(ImportError):
            import pillow_heif

            pillow_heif.register_heif_opener()
    return [name for name in _FORMATS if name in Pillow.OPEN]


def _pixels(opened: Pillow.Image) -> Image:
    """All pixels of an opened image ``[H, W, 3]``, upright and in sRGB."""
    opened.load()
    orientation = 1
    with contextlib.suppress(Exception):  # a damaged tag is no reason to refuse
        orientation = int(opened.getexif().get(_ORIENTATION_TAG, 1))
    image = _eight_bit(opened)
    transparent = image.has_transparency_data
    colours = _to_srgb(image)
    out = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        strip = image.crop((0, top, image.width, bottom))
        if transparent:  # also by a palette, or by one colour
            strip = strip.convert("RGBA")
        out[top:bottom] = _blend(np.asarray(colours(strip)), strip, transparent)
    return _upright(out, orientation)


def _blend(colour: Image, strip: Pillow.Image, transparent: bool) -> Image:
    """`colour` ``[H, W, 3]`` of `strip` over grey, where the strip is transparent."""
    if not transparent:
        return colour
    alpha = np.asarray(strip.getchannel("A"))[..., None]
    if alpha.min() == 255:
        return colour
    blend = _BEHIND_GREY + alpha * (colour.astype(np.float32) - _BEHIND_GREY) / np.float32(255.0)
    return np.asarray((blend + 0.5).clip(0.0, 255.0), np.uint8)


def _eight_bit(image: Pillow.Image) -> Pillow.Image:
    """`image`, where it is grey of more than 8 bits as grey of 8."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.nan_to_num(np.asarray(image, np.float32))
    peak = float(values.max(initial=0.0))
    usual = [1.0, 255.0, 65535.0] if image.mode == "F" else [255.0, 65535.0]
    if image.mode != "F" and image.mode != "I":
        usual = [65535.0]
    full = next((value for value in usual if peak <= value), peak)
    return Pillow.fromarray((values * (255.0 / full)).clip(0.0, 255.0).astype(np.uint8))


def _to_srgb(image: Pillow.Image) -> Any:
    """A function that makes sRGB of a strip of `image`, by the profile that it carries."""
    grey = image.mode in ("1", "L", "LA")
    with contextlib.suppress(Exception):  # a damaged or unsuitable profile is left out
        profile = ImageCms.getOpenProfile(io.BytesIO(image.info["icc_profile"]))
        space = profile.profile.xcolor_space.strip()
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[space]
        fits = (mode == "CMYK") == (image.mode == "CMYK") and (mode != "L" or grey)
        if fits and "sRGB" not in ImageCms.getProfileDescription(profile):
            transform = ImageCms.buildTransform(
                profile, ImageCms.createProfile("sRGB"), mode, "RGB"
            )
            return lambda strip: ImageCms.applyTransform(strip.convert(mode), transform)
    return lambda strip: strip.convert("RGB")


def _upright(image: Image, orientation: int) -> Image:
    """`image` turned and mirrored as EXIF's `orientation` 1 to 8 says."""
    if orientation in (2, 4, 5, 7):
        image = image[:, ::-1]
    quarters = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(image, quarters))


def _is_heic(data: bytes) -> bool:
    """Whether an ISO media file of `data` holds HEVC images."""
    return data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"heim")


def _what_came(data: bytes) -> str:
    """Names what is no image that can be read."""
    if not data:
        return "an empty file"
    name = next((n for s, n in _SIGNATURES.items() if data.lstrip()[: len(s)] == s), None)
    if _is_heic(data):
        name = "HEIC without its decoder" if "HEIF" not in Pillow.OPEN else "HEIC"
    elif data[4:8] == b"ftyp":
        name = "AVIF" if data[8:12] in (b"avif", b"avis") else "a video"
    return f"{len(data)} bytes that are none" + (f" ({name})" if name else "")


def _remedy(data: bytes) -> str:
    if _is_heic(data) and "HEIF" not in Pillow.OPEN:
        return "run: pip install pillow-heif, or convert it to PNG or JPEG"
    return "convert it to PNG or JPEG"
