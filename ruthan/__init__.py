"""ruthan (รู้ทัน): reads messages that people in Thailand receive and says which are scams or trafficking recruitment."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruthan.message import Message as Message
    from ruthan.scanner import Scanner as Scanner
    from ruthan.verdict import Verdict as Verdict

# Libraries look at these when they are imported. pythainlp would make a folder in the user's home, and fail where there
# is none to write to; the wheels of onnxruntime give the machine a number and report to their maker.
if "PYTHAINLP_READ_MODE" not in os.environ:
    os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Message", "Scanner", "Verdict", "__version__"]

_HOMES = {"Message": "ruthan.message", "Scanner": "ruthan.scanner", "Verdict": "ruthan.verdict"}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `ruthan --help` should not wait for the model's runtime.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ruthan' has no attribute {name!r}")
