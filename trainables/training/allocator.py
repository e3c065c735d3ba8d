"""Has the C library keep the memory that a step frees: the next step asks for as much again."""

import ctypes
from typing import Final

# Of glibc's malloc.h.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_MAX: Final = -4


def keep_freed_memory() -> bool:
    """Sets this process's allocator to give nothing back to the kernel before it ends.

    By default each large tensor is mapped when it is made and unmapped when it is freed, so that
    every step has the kernel clear its memory again, page by page: a fifth of a step's CPU time.

    Returns:
        Whether the C library has these settings (glibc); another one is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # No trimming of what is free at the end of the heap; no block outside the heap.
    return bool(mallopt(M_TRIM_THRESHOLD, -1)) and bool(mallopt(M_MMAP_MAX, 0))
