"""The errors of the training pipeline: each says what is wrong, where, and what to do next.

TrainError
├── ConfigError      a configuration file or option that cannot be used
├── CorpusError      a labelled record that breaks the rules
├── BackboneError    a backbone that cannot be read or loaded
└── ExportError      a bundle that must not be written
"""


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
