"""The errors of the training pipeline: each says what is wrong, where, and what to do next.

TrainError
├── ConfigError      a configuration file or option that cannot be used
├── CorpusError      a labelled record that breaks the rules
├── BackboneError    a backbone that cannot be read or loaded
└── ExportError      a bundle that must not be written
"""

from errno import ENOSPC


class TrainError(Exception):
    """Base of the family; the command line prints it as one line and exits with 2."""


class ConfigError(TrainError):
    """A configuration file or option cannot be used."""


class CorpusError(TrainError):
    """A labelled record breaks the rules; the message names file, line and field."""


class BackboneError(TrainError):
    """A backbone cannot be read or loaded."""


class ExportError(TrainError):
    """The model that came out of export is not the model that went in."""


# As Python, safetensors, PyTorch's own archives, and SQLite say it.
_DISK_FULL = ("No space left on device", "PytorchStreamWriter failed writing file", "database or disk is full")
_PLACES = (PermissionError, FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError)


def explained(error: BaseException) -> str | None:
    """One line on what the machine lacks, and the remedy, if that is what an error is about."""
    text = str(error)
    if getattr(error, "errno", None) == ENOSPC or any(sign in text for sign in _DISK_FULL):
        return "the disk is full; free some space and run the same command again: it goes on from the last checkpoint"
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text.lower():
        return "too little memory; lower batch_size or max_length (--set batch_size=8), or train on fewer texts (limit)"
    if isinstance(error, _PLACES):
        return f"{error.strerror}: {error.filename}; give another folder with --out, or mend its permissions"
    return None
