"""Where the files that come with ruthan lie: inside the installed package, or in the checkout around it."""

from pathlib import Path
from typing import Any

import yaml

from ruthan.errors import DataError

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_shipped"  # filled by the wheel build, see pyproject.toml


def shipped(*parts: str) -> Path:
    """The path of a shipped file or folder, such as `shipped("data", "taxonomy.yaml")`.

    The file need not exist: whoever opens it says what is missing.
    """
    root = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
    return root.joinpath(*parts)


def read_yaml(path: Path) -> Any:
    """The content of a data file.

    :raises DataError: it cannot be read, or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; reinstall ruthan") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid YAML: {error}") from error
