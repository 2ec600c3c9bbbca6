"""Make the disguises and typing habits of messages look alike, and say what was undone and where.

`normalize` applies the steps one after another; each step lives with those that look at the same thing: `characters`,
`spelling`, `foreign_letters`, `divided_words`, `lures`, `broken_links`.
"""

import os

# On import pythainlp would make a folder in the user's home, and fail where there is none to write to.
if "PYTHAINLP_READ_MODE" not in os.environ:
    os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")
