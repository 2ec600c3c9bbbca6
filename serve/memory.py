"""How memory is kept, so that it neither grows nor makes callers wait.

The C library keeps what is freed, in pieces between what is still used, and would take more with every exchange of a
model. Where it is another library than glibc, nothing is changed.
"""

import contextlib
import ctypes
import gc

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of mallopt(3)
LARGE = 1 << 20  # bytes


def keep_large_pieces_apart() -> None:
    """Have each large piece of memory by itself, so that it goes back as soon as it is freed. By default that ends when
    the first of them was freed.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE)


def leave_alone() -> None:
    """Have the collector of garbage pass over what there is now and will stay: going through all of it takes a tenth of
    a second, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Give back what is free."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
