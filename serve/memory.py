"""Memory that models leave behind goes back to the system.

The C library keeps what is freed, in pieces between what is still used, and would take more with every exchange of a
model. Does nothing where there is another library than glibc.
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


def give_back() -> None:
    """Give back what is free."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
