"""What the two front ends see of single findings: frozen, torch-free, and all of it health information."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

WIDEST, HIGHEST = 160, 96  # pixels of a revealed image
LONGEST_TEXT: Final = 4_000  # characters of a revealed report


@dataclass(frozen=True, slots=True)
class Second:
    """A second person who is present for one act, where findings take two."""

    name: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FindingsNeed:
    """What opening the findings takes now.

    Attributes:
        opened: they are open.
        passphrase: the officer's own, which was not typed for this program.
        second: a second officer or a paper key, by name and secret; a reveal asks for them again.
    """

    opened: bool
    passphrase: bool
    second: bool


@dataclass(frozen=True, slots=True)
class FindingsAsked:
    """Which findings, and in which order; the default is all of them in the audit's order.

    Attributes:
        role: of the cohort; "" for all.
        flagged: only those that are.
        pseudonym: how it begins.
        min_score: leave out what the deciding detector scores lower, or not at all.
        prior: one of `findings.PRIORS`; "" for 0.01.
        min_probability: leave out what is less likely, or has no leak probability, under `prior`.
        sort: audit, score, p-value, probability or pseudonym; "" for audit.
    """

    role: str = ""
    flagged: bool = False
    pseudonym: str = ""
    min_score: float | None = None
    prior: str = ""
    min_probability: float | None = None
    sort: str = ""


ALL: Final = FindingsAsked()


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One pair of an audit as a line of a table.

    Attributes:
        patient: pseudonym.
        score: of the deciding detector; None where there is none.
        probability: leak probability under the prior that was asked for; None where the audit gives none.
        pairs: how many this patient has in the audit.
    """

    patient: str
    pair_id: str
    role: str
    judged: bool
    flagged: bool
    p_value: float | None
    score: float | None
    probability: float | None
    pairs: int


@dataclass(frozen=True, slots=True)
class FindingsPage:
    """Some of the findings that were asked for.

    Attributes:
        total: how many there are in all, exactly.
    """

    rows: tuple[FindingRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class FindingView:
    """One pair of an audit whole.

    Attributes:
        scores: detector -> score, or why there is none.
        probabilities: prior -> leak probability.
        date: of the study, YYYYMMDD; "" where the workspace holds the pair no more.
        modality: likewise.
    """

    patient: str
    pair_id: str
    role: str
    judged: bool
    flagged: bool
    p_value: float | None
    scores: Mapping[str, float | str]
    probabilities: Mapping[str, float]
    date: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True)
class RevealedStudy:
    """One examination behind a finding, as long as the workspace holds it."""

    pair_id: str
    study: str
    accession: str
    date: str
    modality: str


@dataclass(frozen=True, slots=True)
class RevealView:
    """Who a pseudonym is: patient data, for the officer's own eyes.

    Attributes:
        identities: (IssuerOfPatientID, PatientID); none for a planted canary.
        digest: of the sealed reason, as the log's entry has it.
    """

    patient: str
    identities: tuple[tuple[str, str], ...]
    studies: tuple[RevealedStudy, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class RevealedPair:
    """Image and text of one pair: patient data, for the officer's own eyes.

    Attributes:
        image: rows of grey pixels, 0 black to 255 white, at most `WIDEST` by `HIGHEST`.
        size: (width, height) of the stored frame, in pixels.
        text: of the report, masked by the header values of its study, at most `LONGEST_TEXT` characters.
        masked: what that is worth, in words.
        whole: whether that is all of the text.
    """

    pair_id: str
    image: tuple[bytes, ...] = field(repr=False)
    size: tuple[int, int]
    text: str = field(repr=False)
    masked: str
    whole: bool


@dataclass(frozen=True, slots=True)
class RevealedView:
    """A patient behind a finding, with the image and the text of each pair that the workspace still holds."""

    who: RevealView = field(repr=False)
    pairs: tuple[RevealedPair, ...]
