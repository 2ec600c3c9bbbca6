"""Write results in another form, in a process of its own: requests are not to wait for it.

python -m serve.jobs.convert VERDICTS OUT WITH_TEXT

The ending of OUT tells the form. Ends with 0 if all went well.
"""

import sys
from pathlib import Path

from ruthan.batch.results import open_results
from ruthan.batch.stored import read_results
from ruthan.errors import RuthanError
from serve.jobs.processes import set_bounds


def main(arguments: list[str]) -> int:
    """Read, and write."""
    set_bounds()
    rows, out, with_text = arguments
    try:
        with open_results(Path(out), with_text == "true") as writer:
            for row in read_results(Path(rows)):
                writer.write(row)
    except (RuthanError, OSError, MemoryError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
