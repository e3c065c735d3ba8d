"""Has the C library keep the memory that a step frees: the next step asks for as much again."""

import ctypes
import functools
import mmap
from typing import Final

# Of glibc's malloc.h.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_MAX: Final = -4
HEAP: Final = 2 << 30
"""Bytes of addresses that large pages are asked for; memory is taken as it is used."""


@functools.cache
def keep_freed_memory() -> None:
    """Sets this process's allocator to give nothing back to the kernel before it ends.

    By default each large tensor is mapped when it is made and unmapped when it is freed, so that
    every step has the kernel clear its memory again, page by page: a fifth of a step's CPU time.
    What is kept is in pages of 2 MiB where the kernel has them for who asks, which processors
    find faster. No number changes. A C library without these settings (glibc has them) is left as
    it is.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    libc.mallopt(M_TRIM_THRESHOLD, -1)  # no trimming of what is free at the end of the heap
    libc.mallopt(M_MMAP_MAX, 0)  # no block outside the heap
    _ask_for_large_pages(libc)


def _ask_for_large_pages(libc: ctypes.CDLL) -> None:
    """Has the heap grow in large pages, by taking its next addresses and freeing them untouched."""
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(HEAP)
    if block:  # a limit on addresses leaves the pages as they are
        begin = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        libc.madvise(begin, HEAP - mmap.PAGESIZE, mmap.MADV_HUGEPAGE)
        libc.free(block)
