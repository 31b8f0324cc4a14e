"""What an edition of a pack shows. A field that no table names is withheld from a vendor.

The full edition shows everything, but for what its maker withholds by name. The vendor edition says nothing
about patients: neither single ones nor groups of them, by number or by word, and no free text of the site's.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from appliance.errors import UsageError
from appliance.evidence import verify_evidence as checked
from appliance.pack.facts import PackInput, Withheld
from appliance.pack.leaves import Document
from appliance.views import AuditView
from appliance.words.table import tell
from audit_core.results import AuditResult, DetectableEffect, DetectorReport

FULL: Final = "full"
VENDOR: Final = "vendor"
EDITIONS: Final = (FULL, VENDOR)

SHOWN_TO_VENDOR: Final[Mapping[str, tuple[str, ...]]] = {
    "data.json": (),
    "records.json": (),
    "policy.toml": (),
    "model.json": (
        "format", "digest", "name", "family", "architecture", "parameters", "preprocessor", "vendor",
        "released", "line", "version", "replaces", "found", "changed", "changed/*",
        "files", "files/*", "base_files", "base_files/*", "adapter_files", "adapter_files/*",
    ),
    "results.json": (
        "format", "audit", "started_utc", "sample_note", "model/name", "model/digest", "policy/name",
        "policy/digest", "isolation/*", "verdict/word", "verdict/line",
        "result/deciding_detector", "result/references", "result/design", "result/tier",
        "result/as_published", "result/slices_kept", "result/slices_total", "result/audited_layers",
        "result/slices_by_layer", "result/timings", "result/detectors/*/name", "result/detectors/*/decides",
        "result/controls/*/name", "result/controls/*/status", "result/controls/*/consequence",
        "result/claims", "result/claims/*/claim", "result/claims/*/kind", "result/claims/*/epsilon",
        "result/claims/*/delta", "result/claims/*/accounted", "result/claims/*/accountant",
        "result/claims/*/finding",
    ),
}  # fmt: skip
"""Leaves of the committed members that a vendor sees; * is one step. All others are withheld."""

RUN_FOR_VENDOR: Final = ("appliance", "code", "lock", "machine", "packages", "python", "seed")
"""Of how the audit was run. Not times and hardware: from these follows about how many pairs there were."""

MADE_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "README.txt": (),
    "verify_evidence.py": (),
    "log/": (),
    "records/": ("records.json",),
    "verdict.html": ("model.json", "policy.toml", "results.json"),
    "verdict.txt": ("model.json", "policy.toml", "results.json"),
    "verdict.pdf": ("model.json", "policy.toml", "results.json"),
    "method.html": ("model.json", "policy.toml", "results.json"),
    "figures/": ("results.json",),
    "results/": ("results.json",),
    "model.cdx.json": ("model.json", "policy.toml", "results.json"),
    "run.intoto.json": ("model.json", "results.json"),
    "crosswalk.json": ("records.json", "results.json"),
    "crosswalk.html": ("records.json", "results.json"),
    "crosswalk.oscal.json": ("records.json", "results.json"),
}
"""Which committed members another member is made of; one that is not named here is made of all."""

MADE_FOR_VENDOR: Final = frozenset(
    {
        "README.txt", "verify_evidence.py", "verdict.html", "verdict.txt", "verdict.pdf", "method.html",
        "model.cdx.json", "run.intoto.json", "crosswalk.json", "crosswalk.html", "crosswalk.oscal.json",
    }
)  # fmt: skip
"""Members beside the committed ones and the log's that a vendor gets; made of what a vendor is shown."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What an edition shows of an audit.

    Attributes:
        members: the committed members as they stand in the pack: whole, in part, or not at all.
        disclosure: what `disclosure.json` says, but for the members left out.
        withheld: how much of which member.
        given: the audit as parts may see it.
        asked: committed members of which the pack's maker withholds something by name.
        edition: "full" or "vendor".
    """

    members: Mapping[str, bytes]
    disclosure: Mapping[str, Any]
    withheld: tuple[Withheld, ...]
    given: PackInput
    asked: frozenset[str]
    edition: str

    def kept(self, name: str) -> bool:
        """Whether a member that a part made goes into the pack."""
        if self.edition == VENDOR and name not in MADE_FOR_VENDOR and not name.startswith("log/"):
            return False
        folder, slash, _ = name.partition("/")
        made_of = MADE_OF.get(folder + slash if slash else name)
        return not self.asked if made_of is None else self.asked.isdisjoint(made_of)


def cut(
    given: PackInput, documents: Mapping[str, Document], members: Mapping[str, bytes], edition: str,
    withhold: Collection[str],
) -> Cut:  # fmt: skip
    """Divide an audit into what is shown and what is withheld.

    Args:
        documents: the committed members as leaves; empty where the log committed to none.
        members: the committed members, whole.
        withhold: members, or parts of them: `data.json`, `results.json#/result/exposure`.

    Raises:
        UsageError: no such edition, no such member or part, or a part where there are no leaves.
    """
    if edition not in EDITIONS:
        raise UsageError(f"there is no edition {edition!r}", f"name one of {', '.join(EDITIONS)}")
    hidden = {name: _hidden(documents, name, edition) for name in members}
    for reference in withhold:
        name, leaves = _named(documents, members, reference)
        hidden[name] |= leaves
    shown: dict[str, bytes] = {}
    table: dict[str, dict[str, Any]] = {}
    for name, data in members.items():
        document = documents.get(name)
        size = document.size if document else 1
        table[name] = document.root() if document else {"digest": checked.sha256(data).hex()}
        if not hidden[name]:
            shown[name] = data
            if document:
                table[name]["seed"] = document.seed.hex()
        elif document and len(hidden[name]) < size:
            shown[checked.disclosed(name)] = checked.canonical(document.disclosed(hidden[name]))
    return Cut(
        shown,
        {
            "commitment": 2 if documents else 1,
            "edition": edition,
            "format": "gradaudit-disclosure-1",
            "members": table,
        },
        tuple(
            Withheld(name, len(leaves), documents[name].size if documents else 1)
            for name, leaves in sorted(hidden.items())
            if leaves
        ),
        for_vendor(given) if edition == VENDOR else given,
        frozenset(reference.partition("#")[0] for reference in withhold),
        edition,
    )


def _hidden(documents: Mapping[str, Document], name: str, edition: str) -> set[int]:
    """Numbers of the leaves of a member that an edition withholds; a member without leaves has number 0."""
    if edition == FULL:
        return set()
    wanted = SHOWN_TO_VENDOR.get(name, ())
    if name not in documents:  # whole or not at all: it holds what no table could name
        return {0}
    patterns = {tuple(pattern.split("/")) if pattern else () for pattern in wanted}
    return {
        number
        for number, way in enumerate(documents[name].ways)
        if not any(_fits(way, pattern) for pattern in patterns)
    }


def _fits(way: tuple[str | int, ...], pattern: tuple[str, ...]) -> bool:
    return len(way) == len(pattern) and all(
        step in ("*", str(own)) for own, step in zip(way, pattern, strict=True)
    )


def _named(
    documents: Mapping[str, Document], members: Mapping[str, bytes], reference: str
) -> tuple[str, set[int]]:
    """A committed member and the leaves of it that a reference names."""
    name, sign, pointer = reference.partition("#")
    if name not in members:
        known = ", ".join(sorted(members))
        raise UsageError(f"{name!r} is not a member that can be withheld", f"name one of {known}")
    if not sign or not pointer.strip("/"):
        return name, set(range(documents[name].size)) if documents else {0}
    if not documents:
        raise UsageError(
            "this audit closed before parts of a member could be withheld", f"withhold {name} as a whole"
        )
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.removeprefix("/").split("/")]
    found = {
        number
        for number, way in enumerate(documents[name].ways)
        if [str(step) for step in way[: len(steps)]] == steps
    }
    if not found:
        raise UsageError(
            f"{name} has no part {pointer!r}", "name one as /result/exposure; a list of numbers is one part"
        )
    return name, found


def for_vendor(given: PackInput) -> PackInput:
    """The audit as parts of a vendor's pack see it: what is withheld is not in it."""
    shown = {way[0] for way in (pattern.split("/") for pattern in SHOWN_TO_VENDOR["model.json"])}
    return replace(
        given,
        view=_view(given.view),
        model={name: value for name, value in given.model.items() if name in shown},
        policy_text=_settings(given.policy_text),
        data={},
        run={name: value for name, value in given.run.items() if name in RUN_FOR_VENDOR},
        records={},
        salt_seed=b"",
        stored=None,
    )


def _settings(policy_text: bytes) -> bytes:
    """A policy's keys and values as a policy of its own: without comments, which may say anything."""
    try:
        values = tomllib.loads(policy_text.decode())
    except ValueError:  # the log closed the audit over these bytes, whatever they are
        return b""
    return "".join(_lines(values)).encode()


def _lines(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The same keys in the same order, each with all tables above it."""
    for name, value in values.items():
        key = f"{above}{json.dumps(name, ensure_ascii=False)}"
        if isinstance(value, Mapping):
            yield from _lines(value, f"{key}.")
        else:
            yield f"{key} = {json.dumps(value, ensure_ascii=False, default=str)}\n"


def _view(view: AuditView) -> AuditView:
    withheld = tell("pack.withheld")
    return replace(
        view,
        row=replace(view.row, cohort=withheld, why=withheld),
        verdict=replace(view.verdict, reasons=(withheld,)),
        result=_result(view.result),
        cohort_digest="",
    )


def _result(result: AuditResult) -> AuditResult:
    """Without what speaks of patients. A field that this does not name has its default."""
    return AuditResult(
        deciding_detector=result.deciding_detector,
        references=result.references,
        design=result.design,
        counts={},
        detectors=tuple(
            DetectorReport(one.name, one.decides, None, None, None, None, (), (), 0)
            for one in result.detectors
        ),
        controls=tuple(replace(one, sentence="", numbers={}) for one in result.controls),
        exposure=None,
        tier=result.tier,
        detectable=DetectableEffect(None, "none", ""),
        histogram=None,
        slices_kept=result.slices_kept,
        slices_total=result.slices_total,
        audited_layers=result.audited_layers,
        memory_by_layer=(),
        decision_weights=(),
        model_facts={},
        timings=(),
        as_published=result.as_published,
        slices_by_layer=result.slices_by_layer,
        claims=tuple(
            replace(one, source="", lower=None, allowed=None, level=None, basis="", sentence="")
            for one in result.claims
        ),
    )
