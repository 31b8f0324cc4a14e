"""What screens and commands see of an answer to an auditor: one file about one model and one span of days."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.views import VerdictWord


@dataclass(frozen=True, slots=True)
class AnsweredAudit:
    """One audit in the answer, with its pack."""

    audit_id: str
    model: str
    verdict: VerdictWord
    closed_utc: str


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One answer that was written.

    Attributes:
        file: its name.
        model: as asked: a line, or one version.
        since, until: ISO dates, both included.
        window_open: whether the last day is not over by the log's last entry: more may come.
        audits: that finished in the window, oldest first.
        not_finished: audits of the window without a verdict.
        missed: scheduled runs of the window that were begun late or not at all.
        open_cases: cases of the model that nobody has closed.
        entries: of the log, in the extract.
        checkpoint: entries of the log's state that the answer speaks of.
        size: bytes.
        key_words: ten words of the log's key.
        sentences: what it comes to; of no audit that this is no pass.
    """

    file: str
    model: str
    since: str
    until: str
    window_open: bool
    audits: tuple[AnsweredAudit, ...]
    not_finished: int
    missed: int
    open_cases: int
    entries: int
    checkpoint: int
    size: int
    key_words: str
    sentences: tuple[str, ...]
