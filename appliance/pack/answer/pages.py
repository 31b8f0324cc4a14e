"""What people read of an answer to an auditor: one page and the same in lines, from the same sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.cases.views import CaseState
from appliance.pack.answer.at_work import missed
from appliance.pack.pages import shell
from appliance.pack.pages.wording import GLYPH
from appliance.sanitise import safe
from appliance.views import VerdictWord
from appliance.words.table import count, tell

_LONGEST = 400  # characters of a cell
NOTHING = "\u2013"  # in a cell


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; `empty` stands where there are none.

    Attributes:
        caption: what it is, for readers who hear it.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the answer."""

    title: str
    tables: tuple[Table, ...] = ()
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above everything.

    Attributes:
        lead: what it comes to, in sentences.
        facts: name and value.
    """

    title: str
    note: str
    lead: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def index_html(document: Mapping[str, Any], key_words: str, state_words: str) -> str:
    """The page: no script, nothing from elsewhere; every foreign string is made inert and escaped."""
    head = _head(document, key_words, state_words)
    note = f'<div class="demo">{shell.text(head.note)}</div>' if head.note else ""
    lead = "".join(f"<p><b>{shell.text(line, _LONGEST)}</b></p>" for line in head.lead)
    facts = shell.listed(dict(head.facts))
    kind = f'<span class="kind">{shell.own("answer.kind")}</span>'
    return shell.document(
        head.title,
        f"<div><h1>{kind}{shell.text(head.title)}</h1><div>{shell.text(document['site'])}</div></div>",
        [note, lead, facts, *map(_section_html, _sections(document))],
        shell.text(" ".join(_foot()), 1000),
        made=document["log"]["as_of_utc"],
    )


def index_text(document: Mapping[str, Any], key_words: str, state_words: str) -> str:
    """The same in lines, no boxes; every row says by itself what each of its values is."""
    head = _head(document, key_words, state_words)
    lines = [safe(head.title), *filter(None, (head.note,)), "", *head.lead, ""]
    lines += [f"{name}: {safe(value, _LONGEST)}" for name, value in head.facts]
    for section in _sections(document):
        lines += ["", section.title.upper()]
        for table in section.tables:
            lines += [table.caption] if table.caption != section.title else []
            for number, row in enumerate(table.rows, start=1):
                said = "; ".join(
                    f"{name} {safe(value, _LONGEST)}"
                    for name, value in zip(table.heads, row, strict=True)
                    if value
                )
                lines.append(f"  {number}. {said}")
            lines += [] if table.rows else [f"  {table.empty}"]
        lines += [f"  {said}" for said in section.says]
    return "\n".join([*lines, "", *_foot()]) + "\n"


def _section_html(section: Section) -> str:
    tables = "".join(_table_html(table, section.title) for table in section.tables)
    says = "".join(f"<p>{shell.text(said, 1000)}</p>" for said in section.says)
    return shell.part(shell.text(section.title), tables, says)


def _table_html(table: Table, title: str) -> str:
    """A table under the heading of its section; its caption does not say the heading again."""
    own = "" if table.caption == title else table.caption
    if not table.rows:
        return f"<p>{shell.text(f'{own}: {table.empty}' if own else table.empty)}</p>"
    rows = [[shell.text(value, _LONGEST) for value in row] for row in table.rows]
    caption = shell.text(own or count("answer.rows", len(rows)))
    return shell.table(caption, [shell.text(head) for head in table.heads], rows)


def _foot() -> tuple[str, ...]:
    return tell("answer.legal"), tell("answer.no_patient"), tell("answer.check")


# -- what it says -------------------------------------------------------------------------------------


def _head(document: Mapping[str, Any], key_words: str, state_words: str) -> Head:
    log, model = document["log"], safe(document["model"])
    span = {"since": document["from"], "until": document["to"]}
    return Head(
        title=tell("answer.title", model=model, **span),
        note=tell("answer.demo") if document["demo"] else "",
        lead=tuple(_lead(document)),
        facts=(
            (tell("answer.site"), document["site"]),
            (tell("answer.model"), model),
            (tell("answer.window"), "{since} – {until}".format(**span)),
            (
                tell("answer.state"),
                tell("answer.state.of", entries=f"{log['entries']:,}", moment=_moment(log["as_of_utc"])),
            ),
            (tell("answer.state_words"), state_words),
            (tell("answer.key_words"), key_words),
        ),
    )


def _lead(document: Mapping[str, Any]) -> Iterator[str]:
    return said(
        [one["verdict"] for one in document["audits"]],
        len(document["not_finished"]),
        missed(document),
        sum(one["state"] != CaseState.CLOSED for one in document["cases"]),
        document["log"]["window_open"],
    )


def said(
    verdicts: Sequence[str], not_finished: int, late: int, open_cases: int, window_open: bool
) -> Iterator[str]:
    """What an answer comes to, in sentences: for its page, for the command and for the screen."""
    words = ", ".join(
        tell("answer.verdict_of", number=number, word=word)
        for word, number in sorted(Counter(verdicts).items())
    )
    yield count("answer.found", len(verdicts), verdicts=words) if verdicts else tell("answer.none")
    if not_finished:
        yield count("answer.unfinished", not_finished)
    if late:
        yield count("answer.missed", late)
    if open_cases:
        yield count("answer.cases_open", open_cases)
    if window_open:
        yield tell("answer.open")


def _sections(document: Mapping[str, Any]) -> tuple[Section, ...]:
    return (
        _audits(document),
        _unfinished(document),
        _schedules(document),
        _cases(document),
        _changes(document),
        _claims(document),
        _controls(document),
        _versions(document),
        Section(
            tell("answer.not_shown"),
            says=(
                tell("answer.not_shown.audits"),
                tell("answer.not_shown.complete"),
                tell("answer.not_shown.clock"),
            ),
        ),
    )


def _audits(document: Mapping[str, Any]) -> Section:
    title, closings = tell("answer.audits"), document["closings"]
    rows = [
        (
            f"{GLYPH[VerdictWord(one['verdict'])]} {one['verdict']}",
            one["model"],
            _moment(one["closed_utc"]),
            f"{one['entry']:,}",
            one["result"],
            one["pack"] or NOTHING,
        )
        for one in document["audits"]
    ]
    heads = _heads(
        "answer.verdict", "answer.model", "answer.closed", "answer.entry", "answer.result", "answer.pack"
    )
    told = tell(
        "answer.closings",
        ours=f"{closings['of_this_model']:,}",
        others=f"{closings['of_others']:,}",
        unknown=f"{closings['unknown']:,}",
    )
    return Section(title, (Table(title, heads, tuple(rows), tell("answer.audits.none")),), (told,))


def _unfinished(document: Mapping[str, Any]) -> Section:
    title = tell("answer.unfinished.head")
    rows = [
        (
            one["audit"],
            one["model"],
            _moment(one["began_utc"]),
            f"{one['tries']:,}",
            tell(f"answer.outcome.{one['last_outcome']}"),
        )
        for one in document["not_finished"]
    ]
    heads = _heads("answer.audit", "answer.model", "answer.began", "answer.tries", "answer.outcome")
    return Section(title, (Table(title, heads, tuple(rows), tell("answer.unfinished.none")),))


def _schedules(document: Mapping[str, Any]) -> Section:
    title = tell("answer.schedules")
    rows = [
        (
            one["object"][:8],
            *(f"{one[name]:,}" for name in ("begun", "late", "passed_over", "failed", "not_all_begun")),
            f"{len(one['not_begun_utc']):,}",
        )
        for one in document["schedules"]
    ]
    heads = _heads(
        "answer.schedule",
        "answer.schedule.begun",
        "answer.schedule.late",
        "answer.schedule.passed",
        "answer.schedule.failed",
        "answer.schedule.partly",
        "answer.schedule.waiting",
    )
    return Section(title, (Table(title, heads, tuple(rows), tell("answer.schedules.none")),))


def _cases(document: Mapping[str, Any]) -> Section:
    title, cases = tell("answer.cases"), document["cases"]
    rows = [
        (
            one["verdict"],
            one["audit"],
            _moment(one["known_utc"]),
            tell(f"case.state.{one['state']}"),
            "; ".join(map(_step, one["steps"])) or tell("answer.case.no_step"),
        )
        for one in cases
    ]
    heads = _heads(
        "answer.verdict", "answer.audit", "answer.case.known", "answer.case.state", "answer.case.steps"
    )
    limits = [tell("answer.limit", **clock) for clock in cases[0]["clocks"]] if cases else []
    told = (tell("answer.cases.clocks", limits=", ".join(limits)),) if cases else ()
    return Section(title, (Table(title, heads, tuple(rows), tell("answer.cases.none")),), told)


def _step(step: Mapping[str, Any]) -> str:
    said = tell("answer.case.step", moment=_moment(step["utc"]), what=step["what"], who=step["by"])
    clocks = ", ".join(step["answers"])
    return tell("answer.case.answers", step=said, clocks=clocks) if clocks else said


def _changes(document: Mapping[str, Any]) -> Section:
    title = tell("answer.changes")
    rows = [
        (
            one["model"],
            one["replaces"],
            _moment(one["seen_utc"]),
            one["found"],
            ", ".join(one["parts"]),
            _answered(one),
        )
        for one in document["changes"]
    ]
    heads = _heads(
        "answer.change.version",
        "answer.change.replaces",
        "answer.change.seen",
        "answer.change.found",
        "answer.change.parts",
        "answer.change.answered",
    )
    return Section(title, (Table(title, heads, tuple(rows), tell("answer.changes.none")),))


def _answered(change: Mapping[str, Any]) -> str:
    if change["answered_utc"]:
        return f"{_moment(change['answered_utc'])} {change['answered_by']}"
    return tell("answer.change.announced" if change["found"] == "announced" else "answer.change.open")


def _claims(document: Mapping[str, Any]) -> Section:
    title = tell("answer.claims")
    rows = [
        (
            one["claim"],
            one["model"],
            one["says"],
            _moment(one["added_utc"]),
            _moment(one["withdrawn_utc"]),
        )
        for one in document["claims"]
    ]
    heads = _heads(
        "answer.claim", "answer.model", "answer.claim.says", "answer.claim.added", "answer.claim.withdrawn"
    )
    told = (tell("answer.claims.packs"),) if rows else ()
    return Section(title, (Table(title, heads, tuple(rows), tell("answer.claims.none")),), told)


def _controls(document: Mapping[str, Any]) -> Section:
    reviews = document["reviews"]
    reviewed = [
        (_moment(one["utc"]), one["by"], f"{one['first']:,} – {one['last']:,}", f"{one['entry']:,}")
        for one in reviews["rows"]
    ]
    acts = [(one["act"], one["outcome"], f"{one['number']:,}") for one in document["activity"]]
    by_review = _heads("answer.review.when", "answer.review.by", "answer.review.window", "answer.review")
    by_act = _heads("answer.act", "answer.act.outcome", "answer.act.number")
    covered = {name: f"{reviews[name]:,}" for name in ("entries", "covered")}
    return Section(
        tell("answer.controls"),
        (
            Table(tell("answer.reviews"), by_review, tuple(reviewed), tell("answer.reviews.none")),
            Table(tell("answer.activity"), by_act, tuple(acts), tell("answer.activity.none")),
        ),
        (tell("answer.covered", **covered), count("answer.extract", document["extract"])),
    )


def _versions(document: Mapping[str, Any]) -> Section:
    title = tell("answer.versions")
    rows = [(one["name"], one["digest"], one["vendor"], one["released"]) for one in document["versions"]]
    heads = _heads(
        "answer.version", "answer.version.digest", "answer.version.vendor", "answer.version.released"
    )
    return Section(title, (Table(title, heads, tuple(rows), ""),))


def _heads(*keys: str) -> tuple[str, ...]:
    return tuple(tell(key) for key in keys)


def _moment(utc: str) -> str:
    return utc[:16].replace("T", " ")
