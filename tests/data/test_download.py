"""Archives from a local server that cuts connections, sends wrong bytes and ignores ranges; never from the internet."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iem_jax.app.command import main
from iem_jax.data import download as module
from iem_jax.data.download import ATTEMPTS, Archive, DownloadError, download

BYTES = bytes(range(256)) * 64


class Server(http.server.ThreadingHTTPServer):
    files: dict[str, bytes]
    cut: int | None  # bytes of an answer after which the connection ends
    knows_ranges: bool
    ranges: list[str | None]  # of the requests


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        data, wanted = self.server.files.get(self.path), self.headers.get("Range")
        self.server.ranges.append(wanted)
        if data is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.knows_ranges else 0
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:][: self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.files, server.cut, server.knows_ranges, server.ranges = {}, None, True, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server: Server, folder: Path, data: bytes, known: bytes | None = None, name: str = "a.tgz", **others) -> bool:
    """Fetch `data`, while the sum of `known` is the known one."""
    server.files[f"/{name}"] = data
    md5 = hashlib.md5(data if known is None else known).hexdigest()
    archive = Archive(name, "http://127.0.0.1:9", md5, None, others.pop("makes", "jpg"))
    accepted = others.pop("accepted", None)
    return download(archive, folder, f"http://127.0.0.1:{server.server_port}/", accepted, lambda *_: None)


def pack(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            content = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_cuts(server: Server, tmp_path: Path, knows_ranges: bool):
    """A cut costs nothing where ranges are known; else the file is sent anew, and what came is not lost."""
    server.cut, server.knows_ranges = 5000, knows_ranges
    if not knows_ranges:
        with pytest.raises(DownloadError, match=r"cut off after 5000 of 16384 bytes.*start the same command again"):
            fetch(server, tmp_path, BYTES, name="setid.mat", makes="setid.mat")
        assert (tmp_path / "setid.mat.part").stat().st_size == 5000
        server.cut = None
    assert fetch(server, tmp_path, BYTES, name="setid.mat", makes="setid.mat")
    assert (tmp_path / "setid.mat").read_bytes() == BYTES
    assert server.ranges[:2] == [None, "bytes=5000-"]
    asked = len(server.ranges)
    assert not fetch(server, tmp_path, BYTES, name="setid.mat", makes="setid.mat")
    assert len(server.ranges) == asked
    assert [path.name for path in tmp_path.iterdir()] == ["setid.mat"]


@pytest.mark.parametrize("there", [len(BYTES), len(BYTES) + 9])
def test_what_came_before_is_all_or_too_much(server: Server, tmp_path: Path, there: int):
    (tmp_path / "s.part").write_bytes((BYTES + bytes(9))[:there])
    assert fetch(server, tmp_path, BYTES, name="s", makes="s")
    assert (tmp_path / "s").read_bytes() == BYTES


def test_another_sum_is_a_question(server: Server, tmp_path: Path):
    data = pack(("jpg/a.jpg", b"picture"))
    found, known = hashlib.md5(data).hexdigest(), hashlib.md5(BYTES).hexdigest()
    for _ in range(2):  # the second one asks again without fetching
        with pytest.raises(DownloadError, match=rf"sum {found} .* known is {known}.*`--download_accept={found}`"):
            fetch(server, tmp_path, data, BYTES)
    assert len(server.ranges) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.tgz.unverified"]
    assert fetch(server, tmp_path, data, BYTES, accepted=found)
    assert len(server.ranges) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["jpg"]
    assert (tmp_path / "jpg" / "a.jpg").read_bytes() == b"picture"


@pytest.mark.parametrize(
    "member",
    [
        ("../out", b"x"),
        special("jpg/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("jpg/link", tarfile.LNKTYPE, "jpg/a"),
        special("jpg/device", tarfile.CHRTYPE),
        special("jpg/pipe", tarfile.FIFOTYPE),
    ],
    ids=["outside", "symlink", "hard link", "device", "pipe"],
)
def test_members_that_are_refused(server: Server, tmp_path: Path, member: tarfile.TarInfo | tuple[str, bytes]):
    (tmp_path / "set").mkdir()
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        fetch(server, tmp_path / "set", pack(("jpg/a", b"a"), member))
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "a.tgz.unverified"]


@pytest.mark.parametrize(
    "data",
    [b"no archive", pack(("jpg/a", BYTES))[:-20], pack(("other/a", b""))],
    ids=["no archive", "cut off", "another folder"],
)
def test_archives_that_are_none(server: Server, tmp_path: Path, data: bytes):
    with pytest.raises(DownloadError, match=r"cannot be unpacked|must hold a folder jpg"):
        fetch(server, tmp_path, data)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tgz.unverified"]


def test_no_network_and_absent_files(server: Server, tmp_path: Path):
    server.files.clear()
    archive = Archive("a.tgz", f"http://127.0.0.1:{server.server_port}", "", None, "jpg")
    with pytest.raises(DownloadError, match=r"cannot be fetched \(Not Found\)"):
        download(archive, tmp_path, None, None, lambda *_: None)
    assert len(server.ranges) == 1
    with pytest.raises(DownloadError, match=r"cannot be fetched .*name a mirror by `download_host`"):
        download(archive, tmp_path, "http://127.0.0.1:9", None, lambda *_: None)
    assert ATTEMPTS == 5


def test_command_line(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    data = {"setid.mat": BYTES, "x.tgz": pack(("jpg/a.jpg", b"a"))}
    made = {"setid.mat": "setid.mat", "x.tgz": "jpg"}
    archives = [Archive(name, "", hashlib.md5(data[name]).hexdigest(), None, made[name]) for name in data]
    monkeypatch.setitem(module.ARCHIVES, "flowers", archives)
    server.files = {f"/{name}": content for name, content in data.items()}
    flags = ["run.py", "--download=flowers", f"--download_host=http://127.0.0.1:{server.server_port}"]
    for said in ("fetched", "was there before"):
        assert main([*flags, f"--dataset_path={tmp_path / 'set'}"]) == 0
        assert capsys.readouterr().err.count(said) == 2
    server.files.clear()
    assert main([*flags, f"--dataset_path={tmp_path / 'other'}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    for wrong, sentence in (
        (["--download=flowers"], "`download` needs `dataset_path`"),
        (["--download=coco", "--dataset_path=x"], "`download` must be one of flowers, cub"),
        (["--download_host=x"], "`download_host` needs `download`"),
    ):
        assert main(["run.py", *wrong]) == 2
        assert sentence in capsys.readouterr().err
