"""What a job found, in the form that is asked for: made when it is first asked for, and kept beside."""

import asyncio
import contextlib
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from ruthan.batch.run import CAMPAIGNS, INDICATORS, NOT_READ, REPORT, RESULTS, STIX
from serve.jobs.processes import environment
from serve.problems import Problem


@dataclass(frozen=True)
class Form:
    """A form of results: the file it is in, how that is called over HTTP, whether it is made of the verdicts, and the
    packages that this takes.
    """

    file: str
    media_type: str
    made: bool = False
    packages: tuple[str, ...] = ()

    @property
    def binary(self) -> bool:
        """Whether it is no text."""
        return self.packages != () or self.file.endswith(".sqlite")


_STEM = Path(RESULTS).stem
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMS = {
    "jsonl": Form(RESULTS, "application/x-ndjson"),
    "csv": Form(f"{_STEM}.csv", "text/csv; charset=utf-8", made=True),
    "xlsx": Form(f"{_STEM}.xlsx", _XLSX, made=True, packages=("xlsxwriter",)),
    "parquet": Form(f"{_STEM}.parquet", "application/vnd.apache.parquet", made=True, packages=("pyarrow",)),
    "sqlite": Form(f"{_STEM}.sqlite", "application/vnd.sqlite3", made=True),
    "duckdb": Form(f"{_STEM}.duckdb", "application/octet-stream", made=True, packages=("duckdb", "pyarrow")),
    "report": Form(REPORT, "text/html; charset=utf-8"),
    "campaigns": Form(CAMPAIGNS, "application/x-ndjson"),
    "indicators": Form(INDICATORS, "text/csv; charset=utf-8"),
    "stix": Form(STIX, "application/json"),
    "not-read": Form(NOT_READ, "application/x-ndjson"),
}


class Conversions:
    """Makes the forms of results, one at a time: each takes a core."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def file(self, folder: Path, form: str, with_text: bool) -> Path:
        """The file of results in a form, one of `FORMS`.

        :raises Problem: `not-found` if the results are gone or not on this machine, `not-allowed` if the form needs a
            package that is not installed here, `storage-full`.
        """
        wanted = FORMS[form]
        path, rows = folder / wanted.file, folder / RESULTS
        if path.is_file():
            return path
        if not rows.is_file() or not wanted.made:
            raise Problem("not-found", _GONE)
        if not all(map(find_spec, wanted.packages)):
            raise Problem("not-allowed", f"this service does not write {form}; ask for jsonl, csv or sqlite")
        async with self._one_at_a_time:
            if not path.is_file():
                await _convert(rows, path, with_text)
        return path


_GONE = "the results of this job are not here any more; send its dump again"


async def _convert(rows: Path, path: Path, with_text: bool) -> None:
    place = None
    try:
        place = Path(mkdtemp(dir=path.parent, prefix="made-"))  # another worker may be asked for the same
        if await _run(str(rows), str(place / path.name), str(with_text).lower()):
            (place / path.name).replace(path)
            return
    except FileNotFoundError as error:  # the job was deleted meanwhile
        raise Problem("not-found", _GONE) from error
    except OSError as error:
        raise Problem("storage-full", _UNWRITTEN, retry_after=60) from error
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
    raise Problem("storage-full", _UNWRITTEN, retry_after=60) if rows.is_file() else Problem("not-found", _GONE)


_UNWRITTEN = "the results cannot be written in this form now; ask for jsonl, or try again later"


async def _run(*arguments: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "serve.jobs.convert",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,  # a library's words may quote a message
        env=environment(),
    )
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:  # the service stops
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
