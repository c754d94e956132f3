"""What `overwrite` removes: the files that a manifest names, as far as they are still those that were written."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from iem_jax.output.lines import Record, decode_line, read_lines
from iem_jax.output.writer import EXPORTS, FILES, PATTERNS, Writer, Written

CURVES = "curves.bin"  # is there with every manifest
EXPORTED = f"{EXPORTS}/written.jsonl"  # what exports wrote
TABLES = frozenset((*FILES, "figures/history.png", "figures/contact_sheet.png"))


def remove_named(writer: Writer, manifest: Path) -> None:
    """Remove the files in the records of a manifest, its tables, exports and empty folders; not itself.

    A file that was changed since stays, and so does what lies behind a link.
    """
    tables: set[str] = set()
    with manifest.open("rb") as file:
        remove_files(writer, _watch_tables(_records(file), tables))
    if (exported := writer.folder / EXPORTED).is_file():
        with exported.open("rb") as file:
            remove_files(writer, _records(file))
    removed = [name for name in sorted({*tables, CURVES, EXPORTED} - {manifest.name}) if writer.remove(name)]
    _remove_empty(writer, {parent for name in removed for parent in Path(name).parents})


def remove_files(writer: Writer, records: Iterable[Record]) -> None:
    """Remove the files in records, as far as they are those that were written, and folders that are empty then."""
    emptied: set[Path] = set()
    for record in records:
        for name, written in _files_of(record):
            if (written is None or writer.is_whole(name, written)) and writer.remove(name):
                emptied.update(Path(name).parents)
    _remove_empty(writer, emptied)


def _watch_tables(records: Iterable[Record], tables: set[str]) -> Iterator[Record]:
    for record in records:
        tables.update(name for name in TABLES if name in record.get("tables", ()))
        yield record


def _remove_empty(writer: Writer, emptied: set[Path]) -> None:
    for folder in sorted(emptied - {Path(".")}, reverse=True):  # the deeper ones first
        with contextlib.suppress(OSError):  # not empty, or a link
            os.rmdir(writer.folder / folder)


def _records(file: Any) -> Iterator[Record]:
    is_old = False
    for number, (_, line) in enumerate(read_lines(file)):
        try:
            yield decode_line(line)
        except ValueError:  # of a damaged line nothing is known
            record = _decode_old(line)
            is_old |= number == 0 and "iem_jax" in record
            if is_old:
                yield {"tables": TABLES} if number == 0 else {"old": record.get("name")}


def _decode_old(line: bytes) -> Record:
    """Return the record of a line as it was before lines had checksums; {} if it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _files_of(record: Record) -> Iterator[tuple[str, Written | None]]:
    """Yield the files of a picture or an export, as they were written if that is known."""
    if isinstance(record.get("old"), str):
        yield from ((pattern.format(record["old"]), None) for pattern in PATTERNS.values())
    if isinstance(record.get("file"), str) and "written" in record:  # of an export
        yield record["file"], Written(*record["written"])
    files, name = record.get("files"), record.get("name")
    if isinstance(files, dict) and isinstance(name, str):
        for kind, written in files.items():
            if kind in PATTERNS and isinstance(written, list) and len(written) == 2:
                yield PATTERNS[kind].format(name), Written(*written)
