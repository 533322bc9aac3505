"""Settings of glibc's memory allocator where something trains.

Each operation of a step makes its result anew. By default glibc returns the memory of a large tensor to the system and takes it
again at the next step, page by page, which costs as much as the arithmetic. Below these thresholds it keeps that memory.
"""

import ctypes
import functools

# Code of `mallopt`, environment variable that glibc reads when a process starts, and bytes.
_SETTINGS = (
    (-3, "MALLOC_MMAP_THRESHOLD_", 1 << 30),
    (-1, "MALLOC_TRIM_THRESHOLD_", 1 << 31),
    (-2, "MALLOC_TOP_PAD_", 1 << 26),
)
ENVIRONMENT = {name: str(size) for _, name, size in _SETTINGS}


@functools.cache
def keep_memory() -> None:
    """Set the same in this process, which was started without the variables; nothing where the C library is not glibc."""
    library = ctypes.CDLL(None)
    for code, _, size in _SETTINGS if hasattr(library, "mallopt") else ():
        library.mallopt(code, min(size, (1 << 31) - 1))  # an int of C
