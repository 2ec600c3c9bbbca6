"""What dumps come in: folders, globs, archives (zip) and compressed files (gzip, Zstandard), one inside another once.

Nothing is unpacked to the disk by its name. What an archive may make of itself is bounded, so that none of a few
kilobytes fills memory, disk or time.
"""

import glob
import gzip
import io
import os
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

import zstandard

from ruthan.dumps.encoding import SAMPLE_BYTES, read_ahead
from ruthan.dumps.rows import Unreadable
from ruthan.errors import DumpError
from ruthan.message import Source

STDIN = "-"
MAX_MEMBERS = 10_000  # that are read of one archive; pictures do not count
MAX_UNPACKED = 64 << 30  # bytes that come of one archive, those of archives within counted too
MAX_RATIO = 1_000  # unpacked bytes to packed ones, looked at
RATIO_FROM = 100_000_000  # beyond so many unpacked bytes
MAX_NESTED = 2  # an archive, and one in it
SPOOL_BYTES = 4 << 30  # of what has to be at hand as a whole, on the disk
SPOOL_IN_MEMORY = 16 << 20
_PIECE = 1 << 16
_MAGIC = 16  # bytes that tell a kind
_ZSTD_PIECE = 1 << 12  # packed bytes at once: each may become 32,768

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")

# What lies beside the messages in exports, and has none.
PASSED_OVER = frozenset(
    "jpg jpeg png gif webp heic heif avif bmp tif tiff svg ico mp4 m4v mov avi mkv webm 3gp 3gpp mp3 m4a aac amr ogg"
    " oga opus wav flac caf thumb tgs lottie vcf pdf css js map woff woff2 ttf otf exe dll db-journal db-wal"
    " db-shm".split()
)
_MARKS_OF_WORKBOOKS = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")


@dataclass
class Part:
    """One file to be read, until the next one is asked for: its name for the user, its own name, from which its format
    may follow, and whether nothing else stands beside it, so that the whole fails with it.
    """

    file: str
    name: str
    stream: BinaryIO
    alone: bool
    layers: tuple["_Unpacked", ...] = ()

    def fault(self) -> str | None:
        """Why the stream ended before its time, if it did."""
        return next((layer.fault for layer in self.layers if layer.fault), None)


class Once:
    """Sees to it that a file is read once, however many paths, patterns or links lead to it, and never what the run
    itself writes.

    :param written: files of the run, which need not be there yet.
    """

    def __init__(self, written: Iterable[Path] = ()) -> None:
        self.again = 0  # how often a file was met that had been read
        self._written = frozenset(os.path.realpath(path) for path in written)
        self._read: set[tuple[int, int]] = set()

    def takes(self, file: str) -> bool:
        """Whether a file is to be read; from then on it counts as read."""
        if file == STDIN:
            return True
        if self._written and os.path.realpath(file) in self._written:
            return False
        try:
            about = os.stat(file)
        except (OSError, ValueError):  # whoever opens it will say why
            return True
        if not stat.S_ISREG(about.st_mode) or not about.st_ino:  # a pipe; a file system without such numbers
            return True
        identity = (about.st_dev, about.st_ino)
        if identity in self._read:
            self.again += 1
            return False
        self._read.add(identity)
        return True


def open_parts(
    path: str, on_bytes: Callable[[int], None] | None = None, once: Once | None = None
) -> Iterator[Part | Unreadable]:
    """What is to be read of a path: a file, `-` for standard input, a folder with all below it, a glob, an archive; for
    a part that cannot be opened, why.

    Hidden files, pictures, sound and the like are passed over where the user did not name them. A link to another
    folder is not followed: it could lead round in a circle, or to what was never meant.

    :param on_bytes: is told how many bytes were read, as often as some were.
    :param once: says which files are to be read; without it all are.
    :raises DumpError: the path cannot be opened, or there is nothing in it.
    """
    files = find_files(path)
    alone = len(files) == 1 and files[0] == path
    for file in files:
        if once and not once.takes(file):
            continue
        if not alone and os.path.isdir(file):
            yield Unreadable(Source(file, 1), why_closed(file))
            continue
        try:
            yield from _file_parts(file, alone, on_bytes)
        except DumpError as error:
            if alone:
                raise
            yield Unreadable(Source(file, 1), reason_of(error, file))
        except OSError as error:
            if alone:
                raise DumpError(f"cannot read {file}: {error.strerror or error}") from error
            yield Unreadable(Source(file, 1), f"cannot be read: {error.strerror or error}")


def find_files(path: str) -> list[str]:
    """The files that a path stands for, those of a folder or a glob by name; among them folders that are not read, as
    they may not be, or are links.

    :raises DumpError: there are none.
    """
    if path == STDIN:
        return [path]
    try:
        if Path(path).is_dir():
            files = sorted(_below(path))
            if not files:
                raise DumpError(f"{path} is a folder without a file to read")
            if files == [path]:
                raise DumpError(f"cannot read {path}: {why_closed(path)}")
            return files
        if os.path.lexists(path) or not glob.has_magic(path):
            return [path]
    except (OSError, ValueError) as error:
        raise DumpError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    # Brackets may be meant as they stand: chats are exported as "[LINE]NAME.txt".
    found = glob.glob(path, recursive=True) or glob.glob(path.replace("[", "[[]"), recursive=True)
    files = [file for each in sorted(found) for file in (sorted(_below(each)) if Path(each).is_dir() else [each])]
    if not files:
        raise DumpError(f"cannot read {path}: there is no such file, and none that it matches")
    return files


def _below(folder: str) -> Iterator[str]:
    closed: list[str] = []
    for root, folders, names in os.walk(folder, onerror=lambda error: closed.append(error.filename)):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (file for name in folders if os.path.islink(file := os.path.join(root, name)))
        for name in names:
            file = os.path.join(root, name)
            # A pipe or a device would wait for ever.
            if not is_passed_over(name) and (not os.path.exists(file) or stat.S_ISREG(os.stat(file).st_mode)):
                yield file
    yield from closed


def why_closed(folder: str) -> str:
    """Why a folder that `find_files` names is not read."""
    if os.path.islink(folder):
        return "a link to a folder, which is not followed; give that folder itself"
    try:
        with os.scandir(folder):
            return "a folder that could not be read; give it by itself"
    except OSError as error:
        return f"a folder that cannot be read: {error.strerror or error}"


def is_passed_over(name: str) -> bool:
    """Whether a file in a folder or an archive is hidden, a picture, sound or the like: name and folders within it."""
    inner = PurePosixPath(name.replace("\\", "/"))
    hidden = any((part[0] == "." and part not in (".", "..")) or part == "__MACOSX" for part in inner.parts)
    return hidden or inner.suffix[1:].lower() in PASSED_OVER


def reason_of(error: DumpError, file: str) -> str:
    """What a DumpError says, without the name of the file."""
    return str(error).removeprefix(f"{file}: ").removeprefix(f"cannot read {file}: ")


class _Watched(io.FileIO):
    """A file that tells how much was read of it."""

    on_bytes: Callable[[int], None] | None = None

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        size = super().readinto(buffer)
        if size and self.on_bytes:
            self.on_bytes(size)
        return size


def _file_parts(file: str, alone: bool, on_bytes: Callable[[int], None] | None) -> Iterator[Part | Unreadable]:
    with ExitStack() as stack:
        raw = _Watched(sys.stdin.fileno(), closefd=False) if file == STDIN else _Watched(file)
        raw.on_bytes = on_bytes
        stream = cast(BinaryIO, stack.enter_context(io.BufferedReader(raw, SAMPLE_BYTES)))
        yield from _open(Part(file, Path(file).name, stream, alone), _Budget())


@dataclass
class _Budget:
    """What has come of the outermost archive so far."""

    unpacked: int = 0
    members: int = 0


def _open(part: Part, budget: _Budget, depth: int = 0) -> Iterator[Part | Unreadable]:
    """The parts in a part, or itself where it is no archive."""
    head, stream = read_ahead(part.stream, _MAGIC)
    part.stream = stream
    if head.startswith((GZIP, ZSTD)):
        unpack = _gunzip if head.startswith(GZIP) else _unzstd
        if depth < MAX_NESTED:
            packed = _Counted(stream)
            layer = _Unpacked(unpack(packed), budget, lambda: packed.count)
            inner = Part(part.file, _without_ending(part.name), layer.buffered(), part.alone, (*part.layers, layer))
            yield from _open(inner, budget, depth + 1)
            return
    elif head.startswith(ZIP):
        with ExitStack() as stack:
            part.stream = at_hand(stream, part.file)
            if part.stream is not stream:
                stack.callback(part.stream.close)
            archive = _open_zip(part.stream, part)
            part.stream.seek(0)
            if archive is None:
                yield part
                return
            if depth < MAX_NESTED:
                stack.enter_context(archive)
                yield from _members(archive, part, budget, depth)
                return
    else:
        yield part
        return
    yield Unreadable(Source(part.file, 1), "an archive in an archive in an archive; unpack the outer one first")


def at_hand(stream: BinaryIO, file: str) -> BinaryIO:
    """A stream that can seek, with the same content from its beginning: itself, or a copy that is gone once closed.

    :raises DumpError: it is too large to be copied.
    """
    if stream.seekable():
        return stream
    copy = tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY)  # noqa: SIM115 - closed by the caller
    size = 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > SPOOL_BYTES:
            copy.close()
            raise DumpError(f"{file}: over {SPOOL_BYTES >> 30} GiB in an archive or a pipe; save it as a file first")
        copy.write(piece)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _without_ending(name: str) -> str:
    return name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in (".gz", ".zst", ".zstd") else name


def _open_zip(stream: BinaryIO, part: Part) -> zipfile.ZipFile | None:
    """The archive, or None if it is a workbook.

    :raises DumpError: it is damaged.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        why = part.fault() or "damaged, or cut off"
        raise DumpError(f"{part.file}: the zip archive cannot be opened: {why}; copy or download it again") from error
    names = archive.NameToInfo
    return None if any(mark in names for mark in _MARKS_OF_WORKBOOKS) and _is_workbook(names) else archive


def _is_workbook(names: dict[str, zipfile.ZipInfo]) -> bool:
    return "[Content_Types].xml" in names or "mimetype" in names


def _members(archive: zipfile.ZipFile, part: Part, budget: _Budget, depth: int) -> Iterator[Part | Unreadable]:
    members = [member for member in archive.infolist() if not member.is_dir() and not is_passed_over(_name(member))]
    if not members:
        raise DumpError(f"{part.file}: an archive without a file to read")
    if all(member.flag_bits & 1 for member in members):
        raise DumpError(f"{part.file}: locked with a password; unpack it, then give the folder that you unpacked it to")
    for member in members:
        name = _name(member)
        file = f"{part.file}!{name}"
        budget.members += 1
        if budget.members > MAX_MEMBERS:
            yield Unreadable(Source(part.file, 1), f"over {MAX_MEMBERS:,} files in it, of which the rest were not read")
            return
        if budget.unpacked > MAX_UNPACKED:
            yield Unreadable(Source(part.file, 1), f"over {MAX_UNPACKED >> 30} GiB unpacked; the rest was not read")
            return
        if member.flag_bits & 1:
            yield Unreadable(Source(file, 1), "locked with a password; unpack it first")
            continue
        try:
            with cast(zipfile.ZipExtFile, archive.open(member)) as content:
                layer = _Unpacked(content, budget, partial(int, member.compress_size))
                inner = Part(file, PurePosixPath(name).name, layer.buffered(), False, (*part.layers, layer))
                yield from _open(inner, budget, depth + 1)
        except DumpError as error:
            yield Unreadable(Source(file, 1), reason_of(error, file))
        except (*_BROKEN, RuntimeError, NotImplementedError):
            yield Unreadable(Source(file, 1), "packed in a way that cannot be unpacked, or damaged")


def _name(member: zipfile.ZipInfo) -> str:
    """A member's name as its maker saw it, fit to be printed."""
    name = member.filename
    if not member.flag_bits & 0x800:  # else it is UTF-8; without the mark Windows writes cp874, other systems UTF-8
        raw = name.encode("cp437", "replace")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = raw.decode("cp874", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in name)


class _Readable(Protocol):
    # Not `read`: where the packed data breaks off, that loses what it has unpacked so far.
    def read1(self, size: int, /) -> bytes: ...


_BROKEN = (zlib.error, zstandard.ZstdError, zipfile.BadZipFile, EOFError, OSError, ValueError)


class _Unpacked(io.RawIOBase):
    """Bytes as they are unpacked. Where that goes wrong or too far they end, and `fault` says why, so that what stands
    before can be read.
    """

    def __init__(self, content: _Readable, budget: _Budget, packed: Callable[[], int]) -> None:
        self.fault: str | None = None
        self._content = content
        self._budget = budget
        self._packed = packed
        self._size = 0

    def buffered(self) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(self, _PIECE))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self.fault:
            return 0
        try:
            piece = self._content.read1(min(len(buffer), _PIECE))
        except _BROKEN:
            self.fault = "the packed data is damaged or breaks off here; copy or download it again"
            return 0
        self._size += len(piece)
        self._budget.unpacked += len(piece)
        if self._size > RATIO_FROM and self._size > MAX_RATIO * self._packed():
            self.fault = f"it unpacks to more than {MAX_RATIO:,} times its size, which no messages do"
        elif self._budget.unpacked > MAX_UNPACKED:
            self.fault = f"over {MAX_UNPACKED >> 30} GiB unpacked; unpack it first and give the folder"
        if self.fault:
            return 0
        buffer[: len(piece)] = piece
        return len(piece)


class _Counted:
    """A stream that counts what was read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.count = 0
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        piece = self._stream.read(size)
        self.count += len(piece)
        return piece


def _gunzip(packed: _Counted) -> _Readable:
    return gzip.GzipFile(fileobj=cast(BinaryIO, packed), mode="rb")


@dataclass
class _Unzstd:
    """Zstandard frames one after the other. The library's own stream takes a frame that is cut off for a whole one."""

    packed: _Counted
    _frame: "zstandard.ZstdDecompressionObj | None" = None
    _ready: memoryview = field(default_factory=lambda: memoryview(b""))
    _input: bytes = b""

    def read1(self, size: int, /) -> bytes:
        while not self._ready:
            self._input = self._input or self.packed.read(_ZSTD_PIECE)
            if not self._input:
                if self._frame:
                    raise EOFError
                return b""
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(self._input))
            self._input = b""
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
        piece, self._ready = self._ready[:size], self._ready[size:]
        return bytes(piece)


def _unzstd(packed: _Counted) -> _Readable:
    return _Unzstd(packed)
