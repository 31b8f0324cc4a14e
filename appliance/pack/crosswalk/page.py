"""The crosswalk as a page: a table for each framework, then the digests of all items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from appliance.pack.crosswalk.table import State
from appliance.pack.facts import PackFacts
from appliance.pack.pages.shell import document, own, part, table, text
from appliance.words.table import tell

Row = Mapping[str, Any]
LATER: Final = (
    "crosswalk.html", "crosswalk.json", "crosswalk.oscal.json", "disclosure.json", "manifest.json",
    "manifest.note",
)  # fmt: skip
"""Members that are made with the table, or after it."""
_LONG: Final = 1200  # signs of one cell


def page(facts: PackFacts, crosswalk: Mapping[str, Any]) -> str:
    """The page of what `crosswalk.json` holds."""
    view = facts.view
    header = (
        f'<div><h1><span class="kind">{own("crosswalk.title")}</span>{text(view.row.model, 90)}</h1>'
        f"<div>{text(facts.given.site, 60)}</div></div>"
        f'<div class="facts">{own("report.audit", audit=view.row.audit_id)}<br>'
        f"{own('report.closed', moment=facts.closed_utc[:16].replace('T', ' '))}<br>"
        f"{own('report.entry', entry=facts.closing.index)}</div>"
    )
    note = f'<div class="demo">{text(view.sample_note)}</div>' if view.sample_note else ""
    rows: Sequence[Row] = crosswalk["clauses"]
    main = [
        note,
        *(f"<p>{own(key)}</p>" for key in ("crosswalk.note", "crosswalk.states", "crosswalk.open")),
        _counts(crosswalk["counts"]),
        *(
            _framework(name, [row for row in rows if row["framework"] == name])
            for name in crosswalk["counts"]
        ),
        _support(crosswalk["support"]),
        _digests(crosswalk["items"]),
    ]
    title = tell("crosswalk.window", model=view.row.model)
    footer = own("report.not_legal_advice")
    return document(title, header, main, footer, made=facts.closed_utc)


def _counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    heads = [own("crosswalk.framework"), *(own(f"crosswalk.state.{state}") for state in State)]
    rows = [(text(name), *(str(found[state]) for state in State)) for name, found in counts.items()]
    return table(own("crosswalk.counts_caption"), heads, rows, "num")


def _framework(name: str, rows: Sequence[Row]) -> str:
    """One framework; a table for each source and what was compared with it, so that it is said once."""
    heads = [own(f"crosswalk.{head}") for head in ("clause", "state", "shows", "items")]
    tables = []
    for known in dict.fromkeys(_known(row) for row in rows):
        source, compared, checked = known
        caption = own(f"crosswalk.compared.{compared}", source=source, checked=checked)
        of = [row for row in rows if _known(row) == known]
        tables.append(table(caption, heads, [_row(row) for row in of], "crosswalk"))
    return part(text(name), *tables)


def _known(row: Row) -> tuple[str, str, str]:
    """Where the number of a clause is from, and how far that was looked at."""
    return row["source"], row["compared"], row["checked"]


def _row(row: Row) -> tuple[str, ...]:
    doubt = [own("crosswalk.uncertain", doubt=row["doubt"])] if row["doubt"] else []
    said = [text(row["shows"], _LONG), text(row["why"], _LONG), *doubt]
    names = "<br>".join(text(item["member"], 80) for item in row["items"])
    state = f'<span class="state">{own("crosswalk.state." + row["state"])}</span>'
    return text(row["clause"]), state, "<br>".join(filter(None, said)), names


def _support(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    heads = [own("crosswalk.member"), own("crosswalk.role")]
    cells = [(text(row["member"], 80), text(row["role"])) for row in rows]
    return part(own("crosswalk.support"), table(own("crosswalk.support_caption"), heads, cells))


def _digests(items: Mapping[str, str]) -> str:
    heads = [own("crosswalk.member"), own("crosswalk.digest")]
    cells = [(text(name, 80), f'<span class="mono">{digest}</span>') for name, digest in items.items()]
    later = f"<p>{own('crosswalk.later', names=', '.join(LATER))}</p>"
    return part(own("crosswalk.digests"), table(own("crosswalk.digests_caption"), heads, cells), later)
