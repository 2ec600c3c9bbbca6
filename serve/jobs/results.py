"""What a job found, in the form that is asked for: made when it is first asked for, and kept beside."""

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from ruthan.batch.results import WRITERS, ResultsError, open_results
from ruthan.batch.run import CAMPAIGNS, INDICATORS, NOT_READ, REPORT, RESULTS, STIX
from ruthan.batch.stored import read_results
from serve.problems import Problem


@dataclass(frozen=True)
class Form:
    """A form of results: the file it is in, and how that is called over HTTP."""

    file: str
    media_type: str


_STEM = Path(RESULTS).stem
FORMS = {
    "jsonl": Form(RESULTS, "application/x-ndjson"),
    "csv": Form(f"{_STEM}.csv", "text/csv; charset=utf-8"),
    "xlsx": Form(f"{_STEM}.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "parquet": Form(f"{_STEM}.parquet", "application/vnd.apache.parquet"),
    "sqlite": Form(f"{_STEM}.sqlite", "application/vnd.sqlite3"),
    "duckdb": Form(f"{_STEM}.duckdb", "application/octet-stream"),
    "report": Form(REPORT, "text/html; charset=utf-8"),
    "campaigns": Form(CAMPAIGNS, "application/x-ndjson"),
    "indicators": Form(INDICATORS, "text/csv; charset=utf-8"),
    "stix": Form(STIX, "application/json"),
    "not-read": Form(NOT_READ, "application/x-ndjson"),
}

_one_at_a_time = threading.Lock()  # a conversion takes a core


def results_file(folder: Path, form: str, with_text: bool) -> Path:
    """The file of results in a form, one of `FORMS`.

    :raises Problem: `not-found` if the results are gone or not on this machine, `not-allowed` if the form needs a
        package that is not installed here, `storage-full`.
    """
    path, rows = folder / FORMS[form].file, folder / RESULTS
    if path.is_file():
        return path
    if not rows.is_file():
        raise Problem("not-found", "the results of this job are not here; give its dump again")
    if path.suffix not in WRITERS:
        raise Problem("not-found", "this job has no such result")
    with _one_at_a_time:
        if not path.is_file():
            _convert(rows, path, with_text)
    return path


def _convert(rows: Path, path: Path, with_text: bool) -> None:
    place = Path(mkdtemp(dir=path.parent, prefix="made-"))  # another worker may be asked for the same
    try:
        with open_results(place / path.name, with_text) as writer:
            for row in read_results(rows):
                writer.write(row)
        (place / path.name).replace(path)
    except ResultsError as error:
        if "is not installed" in str(error):
            raise Problem(
                "not-allowed", f"this service does not write {path.suffix[1:]}; ask for another form"
            ) from error
        raise Problem("storage-full", "the results cannot be written; ask for jsonl, or try again later") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
