"""Drafts that officers complete: what the audit knows is filled in with its source, decisions are blank.

No draft names a patient, and none suggests what to decide. An audit that could not tell says so on each.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta

from appliance.cases.clocks import CLOCKS
from appliance.isolation import LAYERS, ON
from appliance.pack.drafts.forms import FORMS, Form
from appliance.pack.facts import Members, PackFacts, digest
from appliance.pack.leaving import few, grouped
from appliance.pack.pages import wording
from appliance.pack.pages.members import page_facts
from appliance.pack.pages.shell import FULL, closing, document, heading, listed, note, own, part, table, text
from appliance.words.table import tell
from appliance.worker import SELF_PROBE

_LIMIT_MS = {clock.name: clock.limit_ms for clock in CLOCKS}


def members(facts: PackFacts, so_far: Members) -> Members:
    """The drafts; none for a vendor, whose pack says nothing of patients."""
    if facts.edition != FULL:
        return {}
    return {form.member: _page(form, facts, so_far).encode() for form in FORMS}


def _page(form: Form, facts: PackFacts, so_far: Members) -> str:
    view, said = facts.view, page_facts(facts)
    title = tell(f"draft.{form.name}_title")
    known = known_facts(facts)
    rows = [
        (own(f"draft.fact.{name}"), value, f'<span class="whole">{text(item)}</span>')
        for name, (value, item) in ((name, known[name]) for name in form.facts)
        if value
    ]
    items = {item: so_far[item] for _, item in known.values() if item in so_far}
    heads = [own("draft.fact"), own("draft.value"), own("draft.item")]
    main = (
        f'<p class="demo">{own("draft.banner")}</p>',
        note(view),
        f"<p>{own(f'draft.{form.name}_why')}</p>",
        f"<p>{own('draft.clauses', clauses=tell(f'draft.{form.name}_clauses'))}</p>",
        f'<p class="open">{own(f"draft.word.{view.verdict.word}")}</p>',
        part(own("draft.known"), table(own("draft.known_caption"), heads, rows), _digests(items)),
        *(_step(form, number, facts) for number in range(1, form.steps + 1)),
    )
    return document(
        f"{title}: {view.row.model}",
        heading(f"{own('draft.kind')} · {text(title)}", view.row.model, view, said),
        main,
        closing(said, tell("draft.footer"), wording.does_not_prove(view.result.tier)),
        str(view.verdict.word),
        facts.closed_utc,
    )


def _step(form: Form, number: int, facts: PackFacts) -> str:
    """One question: what the audit does not know of it, and room for a person."""
    moments = _clocks(facts) if (form.name, number) == ("breach", 5) else {}
    said = own(f"draft.{form.name}.{number}_open", site=facts.given.site, sent=_sent(facts), **moments)
    blank = '<span class="blank"></span>'
    room = f"<p>{own('draft.fill')}{blank}</p>"
    if number in form.deciding:
        lines = "".join(f"<div>{own(key)}</div>" for key in ("draft.by", "draft.on"))
        room = (
            f"<p>{own('draft.decide')}{blank}</p><p>{own('draft.reasons')}{blank}</p>"
            f'<div class="sign">{lines}</div>'
        )
    asked = f"<p><b>{own('draft.open')}:</b> {said}</p>"
    return f'<section class="keep"><h2>{own(f"draft.{form.name}.{number}")}</h2>{asked}{room}</section>'


def _sent(facts: PackFacts) -> str:
    """What may be said of what the worker sent: no more than its box and the probe of it bear out."""
    kept = dict(facts.view.isolation)
    if not kept:
        return tell("draft.sent.not_kept")
    missing = [name for name in (*LAYERS, SELF_PROBE) if kept.get(name) != ON]
    probe = facts.given.records.get("egress", {}).get("probe", {})
    if probe and probe.get("got_out") != 0 and SELF_PROBE not in missing:
        missing.append(SELF_PROBE)
    return tell("draft.sent.unknown", layers=", ".join(missing)) if missing else tell("draft.sent.nothing")


def _clocks(facts: PackFacts) -> dict[str, str]:
    """When the two clocks would end if the closing of the audit were the day of discovery."""
    began = datetime.fromisoformat(facts.closed_utc.replace("Z", "+00:00")).astimezone(UTC)
    return {
        "hours": (began + timedelta(milliseconds=_LIMIT_MS["72h"])).strftime("%Y-%m-%d %H:%M"),
        "days": (began + timedelta(milliseconds=_LIMIT_MS["60d"])).strftime("%Y-%m-%d"),
    }


def _digests(items: Members) -> str:
    """Which files these were, to the last byte; one that the pack does not show whole is not among them."""
    return listed({item: digest(held) for item, held in sorted(items.items())}, tuple(items))


def known_facts(facts: PackFacts) -> dict[str, tuple[str, str]]:
    """Name -> (value as HTML, member that it is from); an empty value is not known."""
    view, model, data = facts.view, facts.given.model, facts.given.data
    result, word = view.result, view.verdict.word
    version = f" · {tell('report.version', version=model['version'])}" if model.get("version") else ""
    claims = "; ".join(f"{name}: {said}" for name, said in wording.answers(result, word))
    years = data.get("study_years", ())
    layers = ", ".join(f"{layer}: {state}" for layer, state in view.isolation)
    meaning = wording.meaning(word, view.verdict.reasons[0])
    closed = tell(
        "draft.closed_at", moment=facts.closed_utc[:16].replace("T", " "), entry=facts.closing.index
    )
    return {
        "model": (text(f"{view.row.model}{version}"), "model.json"),
        "vendor": (text(model.get("vendor", "")), "model.json"),
        "verdict": (text(f"{word}. {meaning}"), "results.json"),
        "exposure": (text(wording.exposure(result, word)), "results.json"),
        "share": (text(wording.share_bounds(result, word)), "results.json"),
        "tier": (text(f"{result.tier.name}: {wording.TIER_PROVES[result.tier]}"), "results.json"),
        "proof": (text(wording.does_not_prove(result.tier)), "results.json"),
        "reasons": (text(" ".join(view.verdict.reasons), 1200), "results.json"),
        "claims": (text(claims, 1200), "results.json"),
        "policy": (text(view.policy), "policy.toml"),
        "closed": (text(closed), "log/entries.jsonl"),
        "data": (_roles(facts), "data.json"),
        "years": (text(tell("report.years", first=years[0], last=years[-1]) if years else ""), "data.json"),
        "modalities": (text(", ".join(data.get("patients_by_modality", {}))), "data.json"),
        "isolation": (text(layers), "results.json"),
        "retention": (_kept(facts.given.policy_text), "policy.toml"),
    }


def _roles(facts: PackFacts) -> str:
    """Patients by role as HTML; groups under five are not told apart."""
    counted = facts.given.data.get("patients_by_role") or grouped(facts.view.result.counts)
    told = [
        f"{text(wording.ROLE.get(role, role))}: {text(few(number))}"
        for role, number in sorted(counted.items())
        if number
    ]
    return f"{'; '.join(told)}. {own('draft.pairs')}" if told else ""


def _kept(policy_text: bytes) -> str:
    """For how many years the policy keeps the log, as HTML; "" where it does not say."""
    try:
        retention = tomllib.loads(policy_text.decode()).get("retention", {})
    except ValueError:  # the text goes along byte for byte, whatever it is
        return ""
    years = retention.get("log_years") if isinstance(retention, dict) else None
    return own("draft.years", years=years) if years else ""
