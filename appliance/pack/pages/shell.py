"""What every page of a pack is set in: one self-contained HTML file without script, link or outside resource.

Every foreign string passes `safe()` and is escaped; landmarks, one first heading and table heads are there
for readers who listen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from appliance.pack.pages.style import CSS
from appliance.pack.pages.wording import does_not_prove
from appliance.sanitise import safe
from appliance.views import AuditView
from appliance.words.table import tell

FULL: Final = "full"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What pages say beyond the audit itself.

    Attributes:
        site: name of the site, as configured.
        vendor: of the model, "" when unknown.
        released: release date of the model, "" when unknown.
        closed_utc: when the log closed the audit.
        entry: number of the entry that closed it.
        key_words: ten words of the log's key.
        verifier_digest: hex SHA-256 of the verifier in the pack.
        state_words: ten words for the state of the log that closed the audit.
        edition: for whom the pack is; all but the full one are without patients.
        model: the model record.
        data: how the cohort was chosen, in counts.
        run: how the audit was run.
        policy_text: the policy in force.
    """

    site: str
    vendor: str
    released: str
    closed_utc: str
    entry: int
    key_words: str
    verifier_digest: str
    state_words: str = ""
    edition: str = FULL
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    policy_text: bytes = b""

    @property
    def whole(self) -> bool:
        """Whether patients may be counted on the page."""
        return self.edition == FULL


def document(
    title: str, header: str, main: Iterable[str], footer: str, tone: str = "OTHER", made: str = ""
) -> str:
    """One page.

    Args:
        title: as plain words, of the window.
        header, main, footer: HTML; the header holds the one first heading. Empty parts are left out.
        tone: classes of the body: a verdict's word, or OTHER, and how closely it is set.
        made: ISO time of what the page tells, never of its making; "" leaves it out.
    """
    date = f'<meta name="dcterms.created" content="{escape(made)}">' if made else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">{date}'
        f"<title>{text(title)}</title><style>{CSS}</style></head>\n"
        f'<body class="{escape(tone)}">\n<header>{header}</header>\n<main>\n'
        + "\n".join(filter(None, main))
        + f"\n</main>\n<footer>{footer}</footer>\n</body></html>\n"
    )


def text(value: object, limit: int = 300) -> str:
    """A foreign or computed string as HTML, cut at `limit` signs."""
    return escape(safe(str(value), limit))


def own(key: str, **given: object) -> str:
    """A sentence of ours as HTML; what is foreign in it passes `safe()`."""
    return escape(tell(key, **{name: safe(str(value), 300) for name, value in given.items()}))


def heading(kind: str, name: str, view: AuditView, facts: PageFacts) -> str:
    """Header of a page about an audit: what page this is, of which model, and of which moment."""
    vendor = f" · {text(facts.vendor, 60)}" if facts.vendor else ""
    version = str(facts.model.get("version", "") or "")
    of = f" · {own('report.version', version=version)}" if version else ""
    return (
        f'<div><h1><span class="kind">{kind}</span>{text(name, 90)}</h1>'
        f"<div>{text(facts.site, 60)}{vendor}{of}</div></div>"
        f'<div class="facts">{own("report.audit", audit=view.row.audit_id)}<br>'
        f"{own('report.closed', moment=facts.closed_utc[:16].replace('T', ' '))}<br>"
        f"{own('report.entry', entry=facts.entry)}</div>"
    )


def note(view: AuditView) -> str:
    """What the policy has said on every page, as of a small sample; else nothing."""
    return f'<p class="demo">{text(view.sample_note, 110)}</p>' if view.sample_note else ""


def closing(facts: PageFacts, *sentences: str) -> str:
    """Footer of a page: what it leaves open, and what every page says."""
    said = [escape(sentence) for sentence in sentences if sentence]
    withheld = [] if facts.whole else [own("report.withheld")]
    always = [own("report.not_legal_advice"), own("report.no_patient")]
    return " ".join([*said, *withheld, *always])


def audit_page(title: str, kind: str, main: Sequence[str], view: AuditView, facts: PageFacts) -> str:
    """A page about an audit, with what each has: header, what it does not prove, its verdict's colour."""
    return document(
        title,
        heading(kind, view.row.model, view, facts),
        main,
        closing(facts, does_not_prove(view.result.tier)),
        str(view.verdict.word),
        facts.closed_utc,
    )


def items(sentences: Iterable[str], limit: int = 400) -> str:
    """The rows of a list."""
    return "".join(f"<li>{text(sentence, limit)}</li>" for sentence in sentences)


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], classes: str = "") -> str:
    """A table; the first cell of a row is its head. Caption, heads and cells are HTML."""
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(
        "<tr>" + f'<th scope="row">{row[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    kind = f' class="{classes}"' if classes else ""
    return (
        f"<table{kind}><caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def listed(pairs: Mapping[str, str], mono: Collection[str] = (), limit: int = 600) -> str:
    """Names and values, those without a value left out."""
    digits = ' class="mono"'
    rows = "".join(
        f"<dt>{text(name)}</dt><dd{digits if name in mono else ''}>{text(value, limit)}</dd>"
        for name, value in pairs.items()
        if value
    )
    return f"<dl>{rows}</dl>" if rows else ""


def part(title: str, *inside: str) -> str:
    """A section with its heading; nothing where nothing is inside."""
    held = "".join(inside)
    return f"<section><h2>{title}</h2>{held}</section>" if held else ""
