"""The files of jobs: `data_dir/jobs/<id>/upload` holds the dump until it was scanned, `…/results` what was found."""

import errno
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool

from serve.problems import Problem

NAME_BYTES = 150  # of a file's name; the longest that file systems take is 255
RESERVE = 64 << 20  # bytes of the disk that dumps leave to the database and to results
DAY = 86_400.0
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\:*?\"<>|\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
_ENDING = re.compile(r"(\.[A-Za-z0-9]{1,10}){1,2}$")  # two, as in .jsonl.gz


class JobFiles:
    """The folder of all jobs."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "jobs"

    def folder(self, number: str) -> Path:
        """The folder of a job."""
        return self.root / number

    def upload(self, number: str) -> Path:
        """The folder of its dump."""
        return self.folder(number) / "upload"

    def results(self, number: str) -> Path:
        """The folder of what was found."""
        return self.folder(number) / "results"

    def present(self, number: str) -> bool:
        """Whether the dump of a job lies here."""
        return self.upload(number).is_dir()

    async def receive(self, number: str, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Write a dump as it arrives, and for good; how many bytes it has. Of one that breaks off nothing is left.

        :raises Problem: `storage-full`, or `internal` where the folder cannot be written to.
        """
        size = 0
        try:
            await run_in_threadpool(self._make, number)
            with (self.upload(number) / name).open("xb") as file:
                async for chunk in chunks:
                    if chunk:
                        size += len(chunk)
                        await run_in_threadpool(self._append, file, chunk)
                await run_in_threadpool(_durable, file, self.upload(number))
        except OSError as error:
            self.erase(number)
            if error.errno in _FULL:
                raise Problem("storage-full", "the dump was not kept; try again later", retry_after=60) from error
            raise Problem("internal", "the dump cannot be kept; tell the operator the id of the request") from error
        except BaseException:
            self.erase(number)
            raise
        return size

    def drop_upload(self, number: str) -> None:
        """Erase a dump, which is needed no more."""
        shutil.rmtree(self.upload(number), ignore_errors=True)

    def erase(self, number: str) -> None:
        """Erase all files of a job."""
        shutil.rmtree(self.folder(number), ignore_errors=True)

    def dumps(self) -> list[str]:
        """Jobs whose dumps lie here."""
        return [number for number in self._numbers() if self.present(number)]

    def left_over(self, now: float | None = None) -> list[str]:
        """Folders in which nothing was written for a day: a job's, or an upload's that broke off with the process."""
        before = (now or time.time()) - DAY
        return [number for number in self._numbers() if _newest(self.folder(number)) < before]

    def _numbers(self) -> list[str]:
        with suppress(FileNotFoundError):
            return os.listdir(self.root)
        return []

    def _make(self, number: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.upload(number).mkdir(parents=True)

    def _append(self, file: BinaryIO, chunk: bytes) -> None:
        file.write(chunk)
        if shutil.disk_usage(self.root).free < RESERVE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def safe_name(name: str) -> str:
    """A file's name as the caller calls it, without what could lead elsewhere or trouble a terminal; never empty.

    >>> safe_name("../../แชท.txt")
    'แชท.txt'
    """
    bare = _NO_NAME.sub("_", re.split(r"[/\\]", name)[-1]).strip(" .-_~")
    found = _ENDING.search(bare)
    ending = found[0] if found else ""
    stem = bare.removesuffix(ending).encode()[: NAME_BYTES - len(ending)].decode("utf-8", "ignore")
    return stem + ending if stem else ending.lstrip(".") or "dump"


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _durable(file: BinaryIO, folder: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    for each in (folder, *folder.parents[:3]):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _newest(folder: Path) -> float:
    """When something was last written in it; now, if it is just being erased."""
    try:
        return max(each.stat().st_mtime for each in (folder, *folder.rglob("*")))
    except OSError:
        return time.time()
