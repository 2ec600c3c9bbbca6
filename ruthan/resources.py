"""Where the files that come with ruthan lie: inside the installed package, or in the checkout around it."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_shipped"  # filled by the wheel build, see pyproject.toml


def shipped(*parts: str) -> Path:
    """The path of a shipped file or folder, such as `shipped("data", "taxonomy.yaml")`.

    The file need not exist: whoever opens it says what is missing.
    """
    root = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
    return root.joinpath(*parts)
