"""Where compiled programs are kept, so that the next run need not compile them.

Programs that are run must be the user's own. So they lie in a folder of ours that nobody else may enter, below the
user's folder for caches or below one that was named; folders that were there before are left as they are.
"""

import hashlib
import os
import platform
import stat
import warnings
from pathlib import Path

import jax

from iem_jax.config import UsageError

LARGEST = 500_000_000  # bytes from which a folder is emptied; a program has some 100,000


def keep_programs(named: str | None, wanted: bool = True) -> None:
    """Let JAX keep compiled programs and use those of earlier runs; several processes may do so at once.

    Damaged programs are compiled again. Where there is no folder that is safe, nothing is kept, without a word, unless
    the folder was named.

    Args:
      named: the folder to use instead of the user's own.
      wanted: False keeps nothing.

    Raises:
      UsageError: the folder that was named is not safe.
    """
    if not wanted:
        return
    try:
        folder = own_folder(_parent(named))
        _empty_if_large(folder)
    except OSError as error:
        if named is not None:
            text = (
                f"`compilation_cache_dir` must be a folder of which a part can be the user's own, got {named}: {error}."
            )
            raise UsageError(text) from error
        return
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def own_folder(parent: Path) -> Path:
    """Return a folder below `parent` that only the user can enter, made if need be, for this kind of machine.

    Raises:
      OSError: it cannot be made or written, or what is there is not the user's alone.
    """
    path = parent
    for name in (f"iem_jax-{_user()}", f"programs-{_processor()}"):
        path = path / name
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or (os.name == "posix" and not _is_private(found)):
                raise PermissionError(f"{path} is not a folder that only you can enter") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{path} cannot be written")
    return path


def _parent(named: str | None) -> Path:
    """Return the folder that was named, or the user's folder for caches, made if need be.

    Raises:
      OSError: it cannot be made, or is not the user's.
    """
    if named is not None:
        return Path(named)
    found = os.environ.get("XDG_CACHE_HOME", "")
    path = Path(found) if os.path.isabs(found) else Path(os.path.expanduser("~"), ".cache")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and path.stat().st_uid != _user():
        raise PermissionError(f"{path} is not yours")  # as under sudo: the user could not enter what we make
    return path


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == _user() and not found.st_mode & 0o077


def _user() -> int:
    return os.geteuid() if os.name == "posix" else 0


def _processor() -> str:
    """Name this kind of processor: programs use instructions that others may lack, and homes are shared."""
    features = platform.machine() + platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features += next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    except OSError:
        pass
    return hashlib.sha256(features.encode()).hexdigest()[:16]


def _empty_if_large(folder: Path) -> None:
    """Remove all programs where there are too many; other processes compile again what they still need."""
    with os.scandir(folder) as entries:
        files = [(entry.path, entry.stat().st_size) for entry in entries if entry.is_file(follow_symlinks=False)]
    if sum(size for _, size in files) > LARGEST:
        for path, _ in files:
            Path(path).unlink(missing_ok=True)
