"""The files of jobs: `data_dir/jobs/<id>/upload` holds the dump until it was scanned, `…/results` what was found."""

import errno
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from serve.problems import Problem

NAME_BYTES = 150  # of a file's name; the longest that file systems take is 255
DAY = 86_400.0
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\:*?\"<>|\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


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
                        await run_in_threadpool(file.write, chunk)
                await run_in_threadpool(_durable, file.fileno(), self.upload(number))
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

    def left_over(self, now: float | None = None) -> list[str]:
        """Folders in which nothing was written for a day: a job's, or an upload's that broke off with the process."""
        if not self.root.is_dir():
            return []
        before = (now or time.time()) - DAY
        return [each.name for each in self.root.iterdir() if each.is_dir() and _newest(each) < before]

    def _make(self, number: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.upload(number).mkdir(parents=True)


def safe_name(name: str) -> str:
    """A file's name as the caller calls it, without what could lead elsewhere or trouble a terminal; never empty.

    >>> safe_name("../../แชท.txt")
    'แชท.txt'
    """
    bare = _NO_NAME.sub("_", re.split(r"[/\\]", name)[-1]).strip(" .-_~")
    stem, dot, ending = bare.rpartition(".")
    if not dot:
        stem, ending = bare, ""
    ending = ending[:20]
    room = NAME_BYTES - len(ending.encode()) - 1
    stem = stem.encode()[:room].decode("utf-8", "ignore")
    return f"{stem}.{ending}" if stem and ending else stem or "dump"


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _durable(file: int, folder: Path) -> None:
    os.fsync(file)
    for each in (folder, folder.parent, folder.parent.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _newest(folder: Path) -> float:
    return max((each.stat().st_mtime for each in (folder, *folder.rglob("*")) if each.exists()), default=0.0)
