"""Reports for people: one HTML page that needs nothing from elsewhere, and beside it a JSON twin for programs."""

import json
import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from train.errors import ConfigError


def templates(folder: Path) -> Environment:
    """The templates of a folder; whatever a message holds is shown as text, and a name that does not exist fails."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_page(path: Path, page: str, twin: Path, content: Any) -> None:
    """Write a page to `path` and its `content` as JSON to `twin`, each whole or not at all.

    :raises ConfigError: a file cannot be written.
    """
    # A lone surrogate, which UTF-8 cannot hold, becomes its own JSON escape, and a question mark on the page.
    _write(twin, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n", "backslashreplace")
    _write(path, page, "replace")


def _write(path: Path, text: str, errors: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", errors=errors)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; give another place with --out") from error
    finally:
        partial.unlink(missing_ok=True)
