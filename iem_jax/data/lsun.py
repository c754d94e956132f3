"""LSUN Car: the database as LSUN hands it out (LMDB: ids and encoded pictures), or a folder of exported pictures.

Ground truths do not come with it; those of the paper are what a Mask R-CNN found. They are taken from a folder, by id.
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iem_jax.config import UsageError
from iem_jax.data.folder import LeftOut, find_truth, index_masks
from iem_jax.data.images import is_white
from iem_jax.data.layout import find_with
from iem_jax.data.names import name_pictures, printable
from iem_jax.data.pairs import list_folder
from iem_jax.data.sample import Sample
from iem_jax.data.source import ReadError, Stored

DATABASE = "data.mdb"
FOLDER = "car"
_OPENED: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()  # a process may open each only once


class Record(Stored):
    """A picture in a database; `str` names it, as a path it is the database's file, by which a change is known."""

    __slots__ = ("_database", "_key", "_path")

    def __init__(self, database: Any, path: str, key: bytes):
        """Name a picture; nothing is read."""
        self._database, self._path, self._key = database, path, key

    def __fspath__(self) -> str:
        return self._path

    def __str__(self) -> str:
        return f"{self._path}/{_decode(self._key)}"

    def read(self) -> bytes:
        """Return the encoded picture; by several threads at once."""
        with self._database.begin() as transaction:
            data = transaction.get(self._key)
        if data is None:
            raise ReadError("no longer in the database")
        return data


def list_lsun_car(root: Path, masks: str | None = None, limit: int | None = None) -> list[Sample]:
    """List cars in the order of the database, which is that of their ids, or of the files' names.

    Args:
      root: the database's folder or file, or one level above it; or a folder of exported pictures.
      masks: folder of ground truths by id, None for none.
      limit: list no more than the first so many; there are millions.

    Raises:
      UsageError: there is no such thing, the database is damaged or empty, or `lmdb` is not installed.
    """
    if not root.exists():
        raise UsageError(f"`dataset_path` must be LSUN's {DATABASE}, or a folder of its pictures: there is no {root}.")
    if root.is_file():
        return _list_database(root, masks, limit)
    folder = find_with(root, DATABASE, FOLDER)
    if folder is None or folder == Path(os.path.abspath(root)).parent:
        return list_folder(root, masks, limit)
    return _list_database(folder / DATABASE, masks, limit)


def _list_database(path: Path, masks: str | None, limit: int | None) -> list[Sample]:
    truths = index_masks(masks, LeftOut((), ()))
    database = _open(path)
    keys = _read_keys(database, path, limit)
    names = name_pictures([_decode(key) for key in keys])
    return [
        Sample(name, Record(database, os.fspath(path), key), find_truth(_decode(key), truths), is_white)
        for name, key in zip(names, keys, strict=True)
    ]


def _open(path: Path) -> Any:
    """Open a database to read: without its lock, so that it may be on a medium that cannot be written."""
    try:
        import lmdb
    except ModuleNotFoundError as error:
        raise UsageError("`dataset` lsun_car needs lmdb, which is not installed: `pip install lmdb`.") from error
    real = os.path.realpath(path)
    try:
        database = _OPENED.get(real) or lmdb.open(
            real, subdir=False, readonly=True, lock=False, create=False, readahead=False
        )
        expected = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
        size = path.stat().st_size
    except (lmdb.Error, OSError) as error:
        raise UsageError(f"{path} cannot be read as a database of LMDB ({error}); download it again.") from error
    _OPENED[real] = database
    if size < expected:  # pages that are not there would end the process
        raise UsageError(f"{path} must have {expected} bytes, it has {size}: it is truncated; download it again.")
    return database


def _read_keys(database: Any, path: Path, limit: int | None) -> Sequence[bytes]:
    import lmdb

    keys: list[bytes] = []
    try:
        with database.begin() as transaction, transaction.cursor() as cursor:
            for key in cursor.iternext(keys=True, values=False):
                if limit is not None and len(keys) >= limit:
                    break
                keys.append(bytes(key))
    except lmdb.Error as error:
        raise UsageError(f"{path} cannot be read as a database of LMDB ({error}); download it again.") from error
    if not keys:
        raise UsageError(f"{path} must hold pictures: it is empty.")
    return keys


def _decode(key: bytes) -> str:
    return printable(key.decode("ascii", "backslashreplace"))
