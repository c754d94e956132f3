"""Where the bytes of one picture come from, and the one way to open it.

A source is a path, the bytes of a file, an open binary file, or a Pillow picture, with which everything is done that
is done with its file. Open files are read from their beginning, stay open, and are put back to where they were. All of
it may be done by several threads at once.
"""

import contextlib
import io
import os
import stat
import threading
from collections.abc import Iterator
from typing import IO

from PIL import Image, UnidentifiedImageError

from iem_jax.data.damaged import finish_jpeg
from iem_jax.data.kinds import open_image
from iem_jax.data.sixteen import raw_modes, restore_depth

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | io.IOBase | Image.Image
_LOCKS = tuple(threading.Lock() for _ in range(61))  # an object's is found by its identity


LONGEST_SIDE, THINNEST = 500_000, 50_000  # pixels; how many times one side may be as long as the other


class Stored(os.PathLike[str]):
    """A picture inside of another file, which is read when it is wanted; as a path it is that file."""

    def read(self) -> bytes:
        """Return the bytes of the picture.

        Raises:
          ReadError: it cannot be read.
        """
        raise NotImplementedError


class ReadError(Exception):
    """A picture that cannot be used; the text is the reason, without the picture's name."""


@contextlib.contextmanager
def open_picture(source: Source) -> Iterator[Image.Image]:
    """Open a picture for the block; whatever is wrong with it, there or in the block, becomes a `ReadError`.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    try:
        if isinstance(source, Image.Image):
            with _lock_of(source):
                image = load(source)
                with contextlib.suppress(Exception):  # damaged EXIF data
                    image.getexif()  # is kept, so that no two threads read it at once
            yield image
        else:
            with _open(source) as file, open_image(file) as image:
                _check_sides(*image.size)
                yield image
    except ReadError:
        raise
    except FileNotFoundError as error:
        raise ReadError("file not found") from error
    except UnidentifiedImageError as error:
        raise ReadError(str(error)) from error
    except Image.DecompressionBombError as error:
        raise ReadError("too many pixels to be decoded safely") from error
    except MemoryError as error:
        raise ReadError("not enough memory") from error
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files
        reason = getattr(error, "strerror", None)
        raise ReadError(f"cannot be read: {reason}" if reason else f"cannot be decoded: {error}") from error


def _check_sides(width: int, height: int) -> None:
    """Refuse what Pillow needs many times the pixels' memory for: it holds an address a row."""
    if max(width, height) > LONGEST_SIDE or max(width, height) > THINNEST * min(width, height):
        raise ReadError(f"too long or too thin to be decoded safely: {width} x {height} pixels")


def load(image: Image.Image, truncated: bool = False) -> Image.Image:
    """Decode an opened picture and return it; a JPEG that lacks its end marker alone is whole.

    Args:
      image: of `open_picture`.
      truncated: take what is there of a file that ends too early; the picture's `info` has "truncated" then.

    Raises:
      ReadError: pixels are missing.
    """
    file, modes = getattr(image, "fp", None), raw_modes(image)
    try:
        image.load()
        return restore_depth(image, file, modes) if modes else image
    except OSError as error:
        if "truncated" not in str(error):
            raise
        image, is_whole = finish_jpeg(image) if image.format in ("JPEG", "MPO") else (image, False)
        if not is_whole and not truncated:
            raise ReadError("truncated: `truncated` takes what is there") from error
        if image.im.size != image.size:
            raise
    image.tile = []  # pyright: ignore[reportAttributeAccessIssue]  # what was decoded so far is all
    if not is_whole:
        image.info["truncated"] = True
    return image


def hold(source: Source) -> Source:
    """Return what can be read again and again: the bytes of an open file, also of a pipe; else the source itself.

    Raises:
      ReadError: the file is closed, open as text, or cannot be read.
    """
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        return source
    if not hasattr(source, "read"):
        raise ReadError(f"must be a path, bytes, an open file or a Pillow picture, is {type(source).__name__}")
    if isinstance(source, io.TextIOBase):
        raise ReadError("is open as text: open it with mode 'rb'")
    try:
        return _read_whole(source)
    except (OSError, ValueError) as error:
        raise ReadError(f"cannot be read: {error}") from error


def _open(source: Source) -> io.BytesIO | io.BufferedReader:
    source = hold(source)
    if isinstance(source, Stored):
        return io.BytesIO(source.read())
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source if isinstance(source, bytes) else bytes(source))
    assert isinstance(source, str | os.PathLike)
    if not stat.S_ISREG(os.stat(source).st_mode):
        raise ReadError("not a regular file")  # opening a pipe would wait for ever
    return open(source, "rb")  # given a path, Pillow maps raw TIFFs into memory, and confuses the sides of turned ones


def _read_whole(file: IO[bytes] | io.IOBase) -> bytes:
    with _lock_of(file):
        try:
            position = file.tell()
            file.seek(0)
        except (OSError, AttributeError):  # a pipe or a socket: there is only one way to go
            return file.read()  # pyright: ignore[reportAttributeAccessIssue]
        try:
            return file.read()  # pyright: ignore[reportAttributeAccessIssue]
        finally:
            file.seek(position)


def _lock_of(source: object) -> threading.Lock:
    return _LOCKS[id(source) // 16 % len(_LOCKS)]
