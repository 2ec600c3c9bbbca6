"""The errors of the library: each says what is wrong, where, and what to do next.

RuthanError
├── MessageError      a message that cannot be scanned as given
├── BundleError       a model bundle that is missing, damaged or of another version
├── PolicyError       a policy file that cannot be used
├── TaxonomyError     a taxonomy file that cannot be used
├── DataError         another data file that cannot be used
└── DumpError         a dump that cannot be read at all
"""


class RuthanError(Exception):
    """Base of the family; the command line prints it as one line and exits with 2."""


class MessageError(RuthanError):
    """The caller sent something that is no message. Never holds the text itself."""


class BundleError(RuthanError):
    """A model bundle is missing, damaged, or made for another version; the message names file and remedy."""


class PolicyError(RuthanError):
    """A policy file is missing or holds a value outside its range."""


class TaxonomyError(RuthanError):
    """The taxonomy file is missing or malformed."""


class DataError(RuthanError):
    """A data file other than the taxonomy, such as that of the warning signs, is missing or malformed."""


class DumpError(RuthanError):
    """A dump cannot be read at all: missing, of an unknown format, or without a text column."""
