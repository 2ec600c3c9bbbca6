"""Processes beside the service: what they are given, and the bounds that they set themselves, so that no dump, however
it was made, holds the service up or takes it along.
"""

import contextlib
import os
import resource
import threading
import time
from pathlib import Path

NICENESS = 10
LEAST_MEMORY, MOST_MEMORY = 1 << 30, 4 << 30  # bytes; a job needs half of a GB, whatever the size of its dump
_GIVEN = "PATH PYTHONPATH VIRTUAL_ENV LANG LC_ALL LC_CTYPE HOME TMPDIR TZ LD_LIBRARY_PATH".split()


def environment() -> dict[str, str]:
    """What the process needs of ours: no secret is among it."""
    # On a full disk Python keeps half a file of bytecode, and the installation would be broken from then on.
    own = {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {name: os.environ[name] for name in _GIVEN if name in os.environ} | own


def set_bounds() -> None:
    """Stand behind the requests, take no more than half of the memory, be the first to go where there is none left, and
    end when the parent is gone.
    """
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # systems without it
        Path("/proc/self/oom_score_adj").write_text("1000")
    limit = min(MOST_MEMORY, max(LEAST_MEMORY, _memory() // 2))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _memory() -> int:
    """Bytes of memory of the container, or of the machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or one without a limit
        return machine
