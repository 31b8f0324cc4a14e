"""The method page: how the audit was done, under which settings and software, and what it could not do."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from appliance.pack.pages import wording
from appliance.pack.pages.results import controls, layers
from appliance.pack.pages.shell import PageFacts, audit_page, listed, note, own, part, table, text
from appliance.views import AuditView
from appliance.words.table import tell

_STEPS = ("capture", "slices", "detectors", "judge", "controls", "decide")


def method_page(view: AuditView, facts: PageFacts) -> str:
    """The page. A vendor's has controls and layers in place of the limits, which count patients."""
    main = (
        note(view),
        _statement(view),
        part(own("report.method"), _how(view, facts)),
        _limits(view) if facts.whole else _for_vendor(view, facts),
        _settings(facts),
        _model(view, facts),
        _software(view, facts),
    )
    return audit_page(
        tell("report.method_of", model=view.row.model), own("report.method_title"), main, view, facts
    )


def _for_vendor(view: AuditView, facts: PageFacts) -> str:
    """What the results page holds elsewhere, as far as it speaks of the model alone."""
    claims = part(own("report.claims"), listed(dict(wording.claimed(view.result)), limit=800))
    return controls(view, facts) + claims + layers(view)


def _statement(view: AuditView) -> str:
    """The steps in plain sentences."""
    published = f"<p><b>{own('report.as_published')}</b></p>" if view.result.as_published else ""
    steps = "".join(f"<li>{own(f'method.{step}')}</li>" for step in _STEPS)
    return part(own("report.statement"), f"<p>{own('method.question')}</p><ol>{steps}</ol>", published)


def _how(view: AuditView, facts: PageFacts) -> str:
    result = view.result
    whole = {
        tell("report.design"): f"{result.design}: {wording.DESIGN[result.design]}",
        tell("report.references"): f"{result.references}: {wording.REFERENCES[result.references]}",
    }
    weights = "; ".join(f"{signal} {weight:+.2f}" for signal, weight in result.decision_weights[:8])
    said = {
        **(whole if facts.whole else {}),
        tell("report.decided_by"): result.deciding_detector,
        tell("report.weights"): weights if facts.whole else "",
        tell("report.slices"): tell(
            "report.slices_kept",
            kept=f"{result.slices_kept:,}",
            total=f"{result.slices_total:,}",
            layers=len(result.audited_layers),
        ),
        tell("report.layers_audited"): ", ".join(result.audited_layers),
        tell("report.canaries"): result.canaries.sentence if result.canaries and facts.whole else "",
        **{name.replace("_", " "): str(value) for name, value in sorted(result.model_facts.items())},
    }
    return listed(said, limit=1200)


def _limits(view: AuditView) -> str:
    """What the audit could not do; nothing where it could do everything."""
    rows = [
        (text(limit.what, 400), text(limit.why, 400), text(limit.remedy, 400)) for limit in view.result.limits
    ]
    heads = [own("report.limit.what"), own("report.limit.why"), own("report.limit.remedy")]
    return part(own("report.limits"), table(own("report.limits_caption"), heads, rows) if rows else "")


def _settings(facts: PageFacts) -> str:
    """The policy in force, key by key; the file itself goes along, byte for byte."""
    try:
        policy = tomllib.loads(facts.policy_text.decode())
    except ValueError:  # the log closed the audit over these bytes, whatever they are
        return part(own("report.settings"), f"<p>{own('report.settings_unread')}</p>")
    rows = [(text(name, 80), text(value, 300)) for name, value in _flat(policy)]
    heads = [own("report.setting"), own("report.value")]
    return part(own("report.settings"), table(own("report.settings_caption"), heads, rows) if rows else "")


def _flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """(dotted key, value) of every key, in the file's order."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{above}{name}.")
        else:
            shown = ", ".join(map(str, value)) or "–" if isinstance(value, list) else str(value)
            found.append((f"{above}{name}", shown.lower() if isinstance(value, bool) else shown))
    return found


def _model(view: AuditView, facts: PageFacts) -> str:
    model = facts.model
    said = {
        tell("report.family"): str(model.get("family", "")),
        tell("report.architecture"): str(model.get("architecture", "")),
        tell("report.parameters"): f"{model['parameters']:,}" if model.get("parameters") else "",
        tell("report.released"): facts.released,
        tell("report.model_digest"): view.model_digest,
        tell("report.preprocessor"): str(model.get("preprocessor", "")),
    }
    mono = (tell("report.model_digest"), tell("report.preprocessor"))
    heads = [own("report.file"), own("report.file_part"), "SHA-256"]
    rows = [
        (text(name, 120), own(f"report.part.{kind}"), f'<span class="mono">{text(digest, 80)}</span>')
        for kind in ("files", "base_files", "adapter_files")
        for name, digest in model.get(kind, {}).items()
    ]
    files = table(own("report.files_caption"), heads, rows) if rows else ""
    return part(own("report.model"), listed(said, mono), files)


def _software(view: AuditView, facts: PageFacts) -> str:
    run = facts.run
    packages = run.get("packages", {})
    said = {
        tell("report.code"): str(run.get("code", "")),
        tell("report.appliance"): str(run.get("appliance", "")),
        tell("report.packages"): ", ".join(f"{name} {version}" for name, version in packages.items()),
        tell("report.python"): str(run.get("python", "")),
        tell("report.machine"): str(run.get("machine", "")),
        tell("report.seed"): str(run.get("seed", "")),
        tell("report.isolation"): ", ".join(f"{layer}: {state}" for layer, state in view.isolation),
        tell("report.cohort_digest"): view.cohort_digest,
        tell("report.policy"): view.policy,
        tell("report.policy_digest"): view.policy_digest,
    }
    mono = (tell("report.code"), tell("report.cohort_digest"), tell("report.policy_digest"))
    return part(own("report.software"), listed(said, mono))
