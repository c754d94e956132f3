"""From what stands in a file to the colours it shows: RGB, with alpha where there is transparency.

Profiles: RGB keeps its numbers and its profile, which goes into cut-outs and overlays, so that they look like the
picture; CMYK and grey with a profile become sRGB; any other profile is dropped.
"""

import contextlib
import io
from collections.abc import Callable

from PIL import Image, ImageCms

from iem_jax.data.levels import is_deep, to_levels

PROFILE = "icc_profile"
SPACES = {"CMYK": b"CMYK", "L": b"GRAY"}  # as the header of a profile calls them, of pictures that are converted


def settle(image: Image.Image) -> Image.Image:
    """Return a loaded picture whose deep samples are levels, without an alpha that is 0 everywhere."""
    if is_deep(image):
        return to_levels(image)
    if image.mode in ("RGBA", "LA") and image.getchannel("A").getextrema()[1] == 0:
        return image.convert(image.mode[:-1])
    return image


def to_colour(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGBA if it has transparency, else to RGB."""
    image = to_levels(image) if is_deep(image) else image
    mode = "RGBA" if image.has_transparency_data else "RGB"
    image.load()  # or a picture that needs no conversion would be decoded after its file is closed
    return image if image.mode == mode else image.convert(mode)


def find_conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return what brings a settled picture, or bands of it, to RGB or RGBA, by its profile if there is need of it."""
    profile = image.info.get(PROFILE)
    if not profile or SPACES.get(image.mode) != profile[16:20] or image.has_transparency_data:
        return _to_own_colour
    with contextlib.suppress(ImageCms.PyCMSError, OSError):  # a damaged profile, or a Pillow without LittleCMS
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB")
        return lambda band: _without_profile(ImageCms.applyTransform(band, transform) or band)
    return _to_own_colour


def to_srgb(picture: Image.Image) -> Image.Image:
    """Convert an RGB picture with a profile to sRGB, without one."""
    profile = picture.info.get(PROFILE)
    if not profile:
        return picture
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        picture = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB")) or picture
    return _without_profile(picture)


def lay_on_white(image: Image.Image) -> Image.Image:
    """Return an RGBA picture on white as RGB, with its profile; an RGB one as it is."""
    if image.mode != "RGBA":
        return image
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    flat.info = {name: value for name, value in image.info.items() if name == PROFILE}
    return flat


def _to_own_colour(image: Image.Image) -> Image.Image:
    colour = to_colour(image)
    profile = colour.info.get(PROFILE)
    return _without_profile(colour) if profile and profile[16:20] != b"RGB " else colour


def _without_profile(image: Image.Image) -> Image.Image:
    image.info.pop(PROFILE, None)
    return image
