"""Kinds of files: which endings are pictures, which decoders are there, and what is missing for others.

Pillow would try forty kinds, some of which start other programs; here are those that hold pictures. HEIC, JPEG XL and
TIFFs of a kind that Pillow cannot read (RGB in floating point) need packages of the extra `formats`.
"""

import functools
import importlib
import importlib.util
import io

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from iem_jax.data.levels import HUGE, WHITE_IS_ZERO, find_levels

ENDINGS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "MPO": (".mpo",),
    "DIB": (".dib",),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "JXL": (".jxl",),
    "QOI": (".qoi",),
    "PSD": (".psd",),
    "DDS": (".dds",),
    "SGI": (".sgi",),
    "PCX": (".pcx",),
    "FITS": (".fits",),
    "TGA": (".tga",),  # the last, since it has no signature
}
FIRST = ("JPEG", "PNG", "GIF", "BMP", "PPM")  # known to Pillow without loading forty modules
CODECS = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}  # which a build of Pillow may lack
PLUGINS = {"HEIF": ("pillow_heif", "pillow-heif"), "JXL": ("pillow_jxl", "pillow-jxl-plugin")}
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIGNATURES = {
    "JXL": (b"\xff\x0a", b"\0\0\0\x0cJXL "),
    "JPEG2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
}
BRANDS: dict[str, tuple[bytes, ...]] = {
    "AVIF": (b"avif", b"avis"),
    "HEIF": (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"),
}


@functools.cache
def endings() -> frozenset[str]:
    """Return the endings of files that can be decoded here, in lower case, with their dots."""
    return frozenset(ending for kind, its in ENDINGS.items() if not _lacking(kind) for ending in its)


def package_for(ending: str) -> str | None:
    """Return the package that would decode files of an ending, None if none is known or needed."""
    return next((_lacking(kind) for kind, its in ENDINGS.items() if ending in its), None)


def open_image(file: io.BytesIO | io.BufferedReader) -> Image.Image:
    """Identify a picture; its pixels may not be decoded yet.

    Raises:
      UnidentifiedImageError: it is none; the text is the reason.
      Exception: whatever Pillow raises for damaged files.
    """
    try:
        return Image.open(file, formats=FIRST)
    except UnidentifiedImageError:
        pass
    try:
        image = Image.open(file, formats=_others())
        return _open_tiff(file) if _is_misread(image) else image
    except UnidentifiedImageError as error:
        file.seek(0)
        start = file.read(16)
        if start.startswith(TIFFS):
            return _open_tiff(file)
        kind = _identify(start)
        package = kind and _lacking(kind)
        reason = f"{kind} needs `pip install {package}`" if package else "not a picture, or of an unknown kind"
        raise UnidentifiedImageError(reason) from error


@functools.cache
def _others() -> tuple[str, ...]:
    Image.init()
    for kind, (module, _) in PLUGINS.items():
        if not _lacking(kind):
            plugin = importlib.import_module(module)
            if kind == "HEIF":
                plugin.register_heif_opener()
    return tuple(kind for kind in ENDINGS if kind in Image.OPEN and kind not in FIRST)


def _lacking(kind: str) -> str | None:
    """Return the package that is missing for a kind, None if none is."""
    if kind in PLUGINS:
        module, package = PLUGINS[kind]
        return package if importlib.util.find_spec(module) is None else None
    codec = CODECS.get(kind)
    known = codec is None or codec in features.modules or codec in features.codecs
    return None if known and (codec is None or features.check(codec)) else "-U pillow"


def _identify(start: bytes) -> str | None:
    if start[4:8] == b"ftyp":
        return next((kind for kind, brands in BRANDS.items() if start[8:12] in brands), None)
    return next((kind for kind, signs in SIGNATURES.items() if start.startswith(signs)), None)


def _is_misread(image: Image.Image) -> bool:
    """Return whether Pillow would take each byte for a sample: TIFFs of 16 bits whose channels lie one by one."""
    tags = getattr(image, "tag_v2", {})
    return tags.get(284) == 2 and len(tags.get(258, ())) > 1 and tags[258][0] > 8


def _open_tiff(file: io.BytesIO | io.BufferedReader) -> Image.Image:
    """Read the first picture of a TIFF that Pillow cannot read."""
    if importlib.util.find_spec("tifffile") is None:
        raise UnidentifiedImageError("a TIFF of a kind that needs `pip install tifffile`")
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and page.imagewidth * page.imagelength > 2 * limit:
            raise Image.DecompressionBombError
        values, tags = _channels_last(page.asarray(), page.axes), page.tags
        levels = find_levels(values, page.nodata if abs(page.nodata) < HUGE and page.nodata else None)
        if page.photometric == WHITE_IS_ZERO:
            levels = 255 - levels
        image = Image.fromarray(levels[..., 0] if levels.shape[-1] < 3 else np.ascontiguousarray(levels[..., :3]))
        if 274 in tags:
            image.getexif()[274] = int(tags[274].value)
    return image


def _channels_last(values: np.ndarray, axes: str) -> np.ndarray:
    """Return the first picture of a page, (H, W, C)."""
    for axis in [axis for axis in axes if axis not in "YXS"]:
        values, axes = np.take(values, 0, axes.index(axis)), axes.replace(axis, "")
    if "S" not in axes:
        values, axes = values[..., None], axes + "S"
    return np.transpose(values, [axes.index(axis) for axis in "YXS"])
