"""What a process says of an error that nobody caught: a fault's id and place, never a value.

Tracebacks print local variables and messages quote what they read, and both hold patients' data. Python and
the libraries have many ways to print them: each is closed here, first thing in every process of ours.
"""

from __future__ import annotations

import faulthandler
import logging
import resource
import sys
import threading
import warnings
from typing import Any, TextIO

from appliance.faults import fault_of, short_place


def redact() -> None:
    """Close every way by which a message, a local variable or a memory image could leave this process."""
    sys.excepthook = lambda kind, error, trace: _say(error)
    sys.unraisablehook = lambda unraisable: _say(unraisable.exc_value)
    threading.excepthook = lambda thread: _say(thread.exc_value)
    warnings.showwarning = _warned
    logging.setLogRecordFactory(_Record)
    logging.raiseExceptions = False  # else a record that cannot be formatted prints its arguments
    faulthandler.disable()
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if soft or hard:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def fault_line(error: BaseException) -> str:
    """One line for an error that nobody expected."""
    fault = fault_of(error)
    return f"unexpected fault {fault.fault_id}: {fault.where}"


class _Record(logging.LogRecord):
    """A record that says who logged where, whatever a library wanted to say.

    asyncio logs what a forgotten task raised, and a task's name shows its arguments: that comes here too.
    """

    def __init__(
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
        **more: Any,
    ) -> None:
        said = f"{logging.getLevelName(level)} in {short_place(pathname)}:{lineno}"
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        if isinstance(error, BaseException):
            said += f", {fault_line(error)}"
        super().__init__(name, level, pathname, lineno, said, (), None, func, None)


def _say(error: BaseException | None) -> None:
    """To standard error; nothing of a person's own interruption."""
    if error is None or isinstance(error, SystemExit | KeyboardInterrupt) or sys.stderr is None:
        return
    sys.stderr.write(f"error: {fault_line(error)}\n")


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A library's warning: its kind and place; its words may quote what it read."""
    sink = file or sys.stderr
    if sink is not None:
        sink.write(f"{category.__name__} in {short_place(filename)}:{lineno}\n")
