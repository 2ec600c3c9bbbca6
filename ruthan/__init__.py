"""ruthan (รู้ทัน): reads messages that people in Thailand receive and says which are scams or trafficking recruitment."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruthan.message import Message as Message
    from ruthan.scanner import Scanner as Scanner
    from ruthan.verdict import Verdict as Verdict

__version__ = "0.1.0"
__all__ = ["Message", "Scanner", "Verdict", "__version__"]

_HOMES = {"Message": "ruthan.message", "Scanner": "ruthan.scanner", "Verdict": "ruthan.verdict"}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `ruthan --help` should not wait for the model's runtime.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ruthan' has no attribute {name!r}")
