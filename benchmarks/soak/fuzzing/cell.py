"""The process in which damaged files are read, one after another, until one ends it.

    python cell.py READER FAULTS

In: u32 length, u8 length of the ending, ending, bytes. Out: one line of JSON a file.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import resource
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

Reader = Callable[[bytes, str], str]
MEMORY_BYTES = 2 << 30


def read_content(data: bytes, ending: str) -> str:
    """What the worker does with a file, all frames decoded."""
    from medio import ingest

    found = ingest.read_content(data, ending, statistics=True)
    return f"{found.outcome} {found.reason}".strip()


def read_archive(data: bytes, ending: str) -> str:
    """List an archive and read its members, as the worker does."""
    from medio.sources import Reader, is_archive

    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".zip") as file, Reader() as reader:
        Path(file.name).write_bytes(data)
        path = Path(file.name)
        members = reader.members(path) if is_archive(path) else [path]
        for member in members:
            reader.read(member)
    return f"{len(members)} members"


def bad_reader(data: bytes, ending: str) -> str:
    """A reader with every fault there is, by the first letter: the harness must see each."""
    fault = data[:1]
    if fault == b"e":
        raise KeyError("not one of ours")
    if fault == b"d":
        os.abort()
    if fault == b"s":
        import ctypes

        ctypes.string_at(0)
    if fault == b"h":
        while True:
            pass
    if fault == b"p":
        time.sleep(3600)
    if fault == b"m":
        return _filled(300 << 20)
    return "fine"


def _filled(size: int) -> str:
    """Memory that the limit on private memory does not count: the peak must tell."""
    with mmap.mmap(-1, size) as shared:
        for at in range(0, size, mmap.PAGESIZE):
            shared[at] = 1
    return "filled"


READERS: dict[str, Reader] = {"content": read_content, "archive": read_archive, "bad": bad_reader}


def verdict(reader: Reader, data: bytes, ending: str) -> dict[str, Any]:
    """How reading ended, with what it cost."""
    from medio.errors import MedioError

    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here on
    started = time.process_time()
    try:
        end = {"end": "read", "what": reader(data, ending)}
    except MedioError as refused:
        end = {"end": "refused", "what": refused.reason}
    except BaseException as error:  # noqa: BLE001 - the finding this harness looks for
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.name}"
        end = {"end": "exception", "what": f"{type(error).__name__} in {where}"}
    return {**end, "seconds": time.process_time() - started, "peak": _peak()}


def _peak() -> int:
    """Largest resident set since the peak was reset, bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def main() -> None:
    """Answer until the pipe closes."""
    source: BinaryIO = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    reader = READERS[sys.argv[1]]
    with Path(sys.argv[2]).open("w") as faults:
        faulthandler.enable(faults)
        if reader is read_content:
            import medio.transforms  # noqa: F401 - counted before the memory limit, not with the first file
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        while head := source.read(5):
            length, ending = struct.unpack(">IB", head)
            name = source.read(ending).decode()
            answers.write(json.dumps(verdict(reader, source.read(length), name)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
