"""Why a file or a message was set aside, as one small tree.

MedioError(reason, message)
├── NotReadable      these bytes are not what they claim to be, or damaged
├── NotSupported     valid, but needs something that is not installed or not built
├── NothingToUse     valid, but no pixels and no report text in it
│   ├── NotAReport       an order, laboratory results, administration
│   ├── EmptyReport      a report without words
│   └── TextElsewhere    a report whose words are in a document sent apart
└── CohortRefused    these pairs and roles cannot be a cohort
"""

from medio.records import Instance, Outcome


class MedioError(Exception):
    """A file could not be used.

    Attributes:
        reason: short stable code for counting, such as `not-dicom` or `truncated-pixels`.
        outcome: what this makes of the file.
        instance: what the header said, where it could be read and the rest could not.
    """

    outcome = Outcome.REJECTED
    instance: Instance | None = None

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotReadable(MedioError):
    """These bytes are damaged or are not what they claim to be."""


class NotSupported(MedioError):
    """The file is valid but needs a decoder or feature that is not here."""

    outcome = Outcome.UNSUPPORTED


class NothingToUse(MedioError):
    """The file is valid but holds neither pixels nor report text."""

    outcome = Outcome.DOCUMENT


class NotAReport(NothingToUse):
    """A valid message or resource that is not an imaging report."""

    outcome = Outcome.ORDER


class EmptyReport(NothingToUse):
    """A valid report without words."""

    outcome = Outcome.EMPTY_REPORT


class TextElsewhere(NothingToUse):
    """A valid report whose words are in another document, sent apart or kept at an address."""

    outcome = Outcome.REPORT


class CohortRefused(MedioError):
    """These pairs and roles cannot be frozen into a cohort."""
