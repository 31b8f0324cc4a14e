"""Errors an officer can read, each with an exit code (DESIGN §6) and a hint.

ApplianceError (1)
├── UsageError (2)          the command or a file it names is wrong
│   ├── PolicyError         a policy file cannot be used
│   └── ModelRejected       a model folder cannot be registered
├── IntegrityError (20)     log, vault or pack does not match what was signed
├── Locked (21)             the workspace is locked, missing or the passphrase is wrong
│   ├── LockedOut           too many wrong passphrases: wait
│   └── NotPermitted        this user's role or key does not allow it
├── Busy (22)               somebody else is writing; try again
├── LogUnwritable (1)       the log cannot take an entry, so the act did not happen
├── CannotWrite (1)         the disk is full or refuses
├── NotNow (1)              this machine lacks memory or isolation; nothing is wrong with the work
└── WorkerFailed (1)        the worker process died or refused
    └── WorkerSilent        it did not answer in time, or used up its processor time
"""


class ApplianceError(Exception):
    """The act could not be carried out."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ApplianceError):
    """The command, or a file it names, is not usable."""

    exit_code = 2


class PolicyError(UsageError):
    """The policy file cannot be used."""


class ModelRejected(UsageError):
    """The model folder cannot be registered."""


class IntegrityError(ApplianceError):
    """Something on disk does not match what was signed."""

    exit_code = 20


class Locked(ApplianceError):
    """The workspace is locked or missing, or the passphrase is wrong."""

    exit_code = 21


class LockedOut(Locked):
    """Too many wrong passphrases: the next attempt has to wait."""

    def __init__(self, message: str, hint: str, wait_s: int) -> None:
        super().__init__(message, hint)
        self.wait_s = wait_s


class NotPermitted(Locked):
    """The role or the key of whoever asks does not allow it."""


class Busy(ApplianceError):
    """Another process is writing to the workspace."""

    exit_code = 22


class WorkerFailed(ApplianceError):
    """The worker process stopped before it finished."""


class WorkerSilent(WorkerFailed):
    """The worker process did not answer in time."""


class CannotWrite(ApplianceError):
    """The disk is full or refuses to write."""


class NotNow(ApplianceError):
    """The machine lacks something now, memory or a layer of isolation, that may be there next time."""


class LogUnwritable(ApplianceError):
    """The log cannot take an entry, so the act was not carried out."""
