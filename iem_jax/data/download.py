"""The official archives of Flowers and CUB-200-2011: fetched, checked and unpacked, each step where it was left.

No library that does all of this was found: pooch begins anew after a cut, and removes what has another sum. So these
are urllib, hashlib and tarfile. In the folder of the data set, while it is worked on:

    NAME.part        what has come so far
    NAME.unverified  whole, but of another sum than the known one; is used only if that sum is accepted
    .unpacking-NAME  members of an archive that are not all there yet
"""

import hashlib
import http.client
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from iem_jax.config import UsageError

CHUNK, TIMEOUT = 1 << 18, 30  # bytes, seconds
ATTEMPTS, PAUSE = 5, 1.0  # in a row that bring nothing; seconds between them, times the attempt
FULL = 416  # the server's answer to a range behind the end
Watch = Callable[[str, int, int | None], object]


class DownloadError(Exception):
    """What could not be fetched or used; the text is one sentence that says what to do."""


class Archive(NamedTuple):
    """A file of a data set.

    Attributes:
      name: of the file.
      host: where it lies, without its name.
      md5: its known sum.
      size: its known size in bytes, None if that is not known.
      makes: the folder or file that it becomes.
    """

    name: str
    host: str
    md5: str
    size: int | None
    makes: str


_OXFORD = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
_CALTECH = "https://data.caltech.edu/records"
ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "flowers": (
        Archive("setid.mat", _OXFORD, "a5357ecc9cb78c4bef273ce3793fc85c", 14_989, "setid.mat"),
        Archive("102flowers.tgz", _OXFORD, "52808999861908f626f3c1f4e79d11fa", 344_862_509, "jpg"),
        Archive("102segmentations.tgz", _OXFORD, "51375996b6c4f367a4b9f4492d7ecef5", None, "segmim"),
    ),
    "cub": (
        Archive(
            "CUB_200_2011.tgz",
            f"{_CALTECH}/65de6-vp158/files",
            "97eceeb196236b17998738112f37df78",
            1_150_585_339,
            "CUB_200_2011",
        ),
        Archive(
            "segmentations.tgz",
            f"{_CALTECH}/w9d68-gec53/files",
            "4d47ba1228eae64f2fa547c47bc65255",
            39_272_883,
            "segmentations",
        ),
    ),
}


def download(archive: Archive, folder: Path, host: str | None, accepted: str | None, watch: Watch) -> bool:
    """Bring one file of a data set to a folder; what is there is left as it is.

    Args:
      archive: which.
      folder: of the data set; must exist.
      host: address of a mirror, under which the file has the same name; None takes the official one.
      accepted: a sum that is taken for the known one.
      watch: is called with the name, the bytes that are there, and those that there will be, if that is known.

    Returns:
      Whether there was anything to do.

    Raises:
      DownloadError: it cannot be fetched, has another sum, or cannot be unpacked.
    """
    target = folder / archive.makes
    if target.exists():
        return False
    try:
        whole = _find_whole(archive, folder) or _fetch(archive, folder, host, watch)
        _check_sum(archive, whole, accepted)
        _place(archive, whole, target)
    except OSError as error:
        reason = error.strerror or error
        raise DownloadError(f"{folder} cannot be written ({reason}): mend that, and start again.") from error
    return True


def _find_whole(archive: Archive, folder: Path) -> Path | None:
    names = archive.name + ".unverified", archive.name
    return next((folder / name for name in names if name != archive.makes and (folder / name).is_file()), None)


def _fetch(archive: Archive, folder: Path, host: str | None, watch: Watch) -> Path:
    """Return the file, whole but not checked; goes on with what came before."""
    address = f"{(host or archive.host).rstrip('/')}/{archive.name}"
    part = folder / (archive.name + ".part")
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _receive(address, part, before, lambda done, total: watch(archive.name, done, total))
            break
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            is_final = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
            failures = 0 if part.exists() and part.stat().st_size > before else failures + 1
            if is_final or failures >= ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                raise DownloadError(
                    f"{address} cannot be fetched ({reason}): start the same command again, it goes on from "
                    "there, or name a mirror by `download_host`."
                ) from error
            time.sleep(PAUSE * failures)
    whole = folder / (archive.name + ".unverified")
    part.replace(whole)
    return whole


def _receive(address: str, part: Path, start: int, watch: Callable[[int, int | None], object]) -> None:
    """Append what is missing; from the beginning where the server does not know ranges.

    Raises:
      OSError, http.client.HTTPException: it cannot be reached, or cut off.
    """
    headers = {"User-Agent": "iem_jax", "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == FULL and error.headers.get("Content-Range", "").endswith(f"/{start}"):
            return  # it was all there
        if error.code == FULL:
            part.unlink()  # of another file
            raise ConnectionError("the server has another file than before") from error
        raise
    with answer:
        begins = f"bytes {start}-"
        is_rest = answer.status == 206 and answer.headers.get("Content-Range", begins).startswith(begins)
        done = start if is_rest else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        with part.open("ab" if is_rest else "wb") as file:
            while block := answer.read(CHUNK):
                file.write(block)
                done += len(block)
                watch(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"cut off after {done} of {total} bytes")


def _check_sum(archive: Archive, whole: Path, accepted: str | None) -> None:
    with whole.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found in (archive.md5, (accepted or "").lower()):
        return
    size = whole.stat().st_size
    expected = "" if archive.size in (None, size) else f" and {archive.size} bytes"
    raise DownloadError(
        f"{whole} has the MD5 sum {found} and {size} bytes, known is {archive.md5}{expected}: if you trust it, add "
        f"`--download_accept={found}`, else remove it and start again."
    )


def _place(archive: Archive, whole: Path, target: Path) -> None:
    """Unpack an archive so that its folder appears when all is in it; another file gets its name."""
    if not archive.name.endswith(".tgz"):
        whole.replace(target)
        return
    unpacked = whole.parent / f".unpacking-{archive.name}"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        with tarfile.open(whole) as tar:
            tar.extractall(os.fspath(unpacked), filter=_check_member)
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        shutil.rmtree(unpacked, ignore_errors=True)
        raise DownloadError(f"{whole} cannot be unpacked ({error}): remove it and start again.") from error
    if not (unpacked / archive.makes).is_dir():
        shutil.rmtree(unpacked, ignore_errors=True)
        raise DownloadError(f"{whole} must hold a folder {archive.makes}: remove it and start again.")
    for path in unpacked.iterdir():  # CUB has a file of attributes beside its folder
        if path.name != archive.makes and not (target.parent / path.name).exists():
            path.replace(target.parent / path.name)
    (unpacked / archive.makes).replace(target)
    shutil.rmtree(unpacked, ignore_errors=True)
    whole.unlink()


def _check_member(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Let files and folders through that stay inside; links and devices are refused."""
    if not (member.isfile() or member.isdir()):
        raise tarfile.SpecialFileError(member)
    return tarfile.data_filter(member, folder)


def check_download(name: str, folder: str | None) -> Path:
    """Check what is asked for, and return the folder, which is made.

    Raises:
      UsageError: no such data set, no folder, or a Python that cannot unpack safely.
    """
    if name not in ARCHIVES:
        raise UsageError(f"`download` must be one of {', '.join(ARCHIVES)}, got {name!r}.")
    if not folder:
        raise UsageError("`download` needs `dataset_path`, the folder to which the data set is to go.")
    if not hasattr(tarfile, "data_filter"):
        raise UsageError("`download` needs a Python that unpacks safely, 3.11.4 or newer.")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UsageError(f"`dataset_path` must be a folder that can be written, got {folder}: {error}.") from error
    return Path(folder)
