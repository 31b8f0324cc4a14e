"""Planted versions, changes and lineage: three versions of lumen-vlm, the last one unannounced."""

from __future__ import annotations

from dataclasses import replace

from appliance.cases.views import ClockState, ClockView
from appliance.charted import AuditPoint
from appliance.compared import ComparedRow, Standing
from appliance.views import AuditRow, VerdictWord
from appliance.watch.views import (
    AnnouncementView,
    ChangeRow,
    ChangeView,
    ExposureChange,
    FactChange,
    FileChange,
    Found,
    LayerChange,
    LineageNode,
    MemoryChange,
    ModelPart,
    TensorChange,
    VersionRow,
    WatchedModel,
    WatchState,
)

SEEN = "2026-11-20T13:40:00.000Z"
ANNOUNCED = AnnouncementView(
    "lumen-vlm",
    "release 2.1",
    "2026-09-30",
    "the vendor's letter of 1 August",
    "2026-08-02T09:00:00.000Z",
    "operator:41c0",
    "lumen-vlm@2",
    True,
)
EXPECTED = AnnouncementView(
    "harbor-clip",
    "spring release",
    "2027-03-31",
    "told at the meeting",
    "2026-11-19T09:00:00.000Z",
    "officer:77aa",
    "",
    False,
)
UNANSWERED = ChangeRow(
    "lumen-vlm",
    "lumen-vlm@3",
    3,
    "lumen-vlm@2",
    Found.UNANNOUNCED,
    (ModelPart.WEIGHTS, ModelPart.CONFIG),
    0,
    SEEN,
    128,
    None,
    ClockView(
        "72h", "policy default@2", ClockState.RUNNING, 170_000, "2026-11-23T13:40:00.000Z", "1 d 23 h left"
    ),
)
FORESEEN = ChangeRow(
    "lumen-vlm",
    "lumen-vlm@2",
    2,
    "lumen-vlm",
    Found.ANNOUNCED,
    (ModelPart.PREPROCESSOR,),
    0,
    "2026-08-30T02:00:00.000Z",
    61,
    None,
    None,
    ANNOUNCED,
)
CHANGES = (UNANSWERED, FORESEEN)

_WHY = "Targets rank above calibration controls by patient: p = 0.0000002, below alpha_fail 0.001."
_AFTER = AuditRow(
    "a-0003", "lumen-vlm@3", "demo", "demo", "2026-11-20T14:02:31Z", "done", VerdictWord.FAIL, _WHY
)
_BEFORE = AuditRow(
    "a-0011", "lumen-vlm@2", "demo", "demo", "2026-09-01T02:11:00Z", "done", VerdictWord.PASS, ""
)
EXPOSED = ExposureChange(
    _BEFORE,
    _AFTER,
    (
        AuditPoint("lumen-vlm@2", "2026-09-01", VerdictWord.PASS, 0, 46, (0.0, 0.077), "a-0011"),
        AuditPoint("lumen-vlm@3", "2026-11-20", VerdictWord.FAIL, 21, 46, (0.309, 0.61), "a-0003"),
    ),
    (
        ComparedRow("verdict", "word", "PASS", "FAIL", Standing.DIFFERS),
        ComparedRow("verdict", "tier", "E3", "E3", Standing.SAME),
        ComparedRow(
            "exposure",
            "flagged",
            "0 of 46",
            "21 of 46",
            Standing.DIFFERS,
            "who is not flagged is not shown to be unexposed",
        ),
        ComparedRow(
            "exposure",
            "estimated share",
            "not stated",
            "49 % (95 % CI 36–61 %)",
            Standing.APART,
            "one audit states none",
        ),
    ),
    (
        MemoryChange("language layer 3, mlp", 0.02, 0.41),
        MemoryChange("language layer 3, attention", 0.01, 0.33),
        MemoryChange("projector", None, 0.19),
    ),
)
CHANGE = ChangeView(
    UNANSWERED,
    (
        FileChange("model.safetensors", ModelPart.WEIGHTS, "changed"),
        FileChange("config.json", ModelPart.CONFIG, "changed"),
        FileChange("generation_config.json", ModelPart.CONFIG, "new"),
    ),
    (
        FactChange("text_config.rope_theta", "10000.0", "500000.0"),
        FactChange("generation_config.do_sample", "", "false"),
    ),
    14,
    96,
    9,
    (
        LayerChange("language layer 2", 5, 9, 4),
        LayerChange("language layer 3", 7, 9, 5),
        LayerChange("embeddings", 2, 2, 0),
    ),
    (
        TensorChange("language_model.model.embed_tokens.weight", "embeddings", 4 << 20, "changed", False),
        TensorChange(
            "language_model.model.layers.3.mlp.up_proj.weight", "language layer 3", 1 << 20, "changed", True
        ),
        TensorChange(
            "language_model.model.layers.2.mlp.up_proj.weight", "language layer 2", 1 << 20, "changed", True
        ),
    ),
    EXPOSED,
    "",
    (
        "Weights and configuration changed, and nobody had announced it.",
        "14 of 96 tensors differ; 9 of them are audited.",
        "On the same panel 0 of 46 patients were flagged before, 21 of 46 now; the intervals do not overlap.",
    ),
)
FIRST_CHANGE = ChangeView(
    FORESEEN,
    (FileChange("preprocessor_config.json", ModelPart.PREPROCESSOR, "changed"),),
    (FactChange("preprocessor_config.size.height", "336", "448"),),
    0,
    96,
    0,
    (),
    (),
    None,
    "lumen-vlm was never audited on this panel",
    ("The preprocessor changed; no tensor differs.",),
)


def version(number: int, found: Found, seen: str, verdict: VerdictWord | None, **more: object) -> VersionRow:
    """One version of lumen-vlm."""
    model = "lumen-vlm" if number == 1 else f"lumen-vlm@{number}"
    audit = {3: "a-0003", 2: "a-0011"}.get(number, "")
    row: dict[str, object] = {
        "verdict": verdict,
        "audit_id": audit,
        "audited_utc": seen[:10] if audit else "",
    }
    return VersionRow(model, number, f"{number}e77d" * 13, found, "machine:01f2", seen, **{**row, **more})  # type: ignore[arg-type]


VERSIONS = (
    version(1, Found.REGISTERED, "2026-03-01T08:00:00.000Z", None),
    version(2, Found.ANNOUNCED, FORESEEN.seen_utc, VerdictWord.PASS, parts=FORESEEN.parts),
    version(3, Found.UNANNOUNCED, SEEN, VerdictWord.FAIL, parts=UNANSWERED.parts, waits=True),
)
ADAPTED = VersionRow(
    "harbor-clip",
    1,
    "77aa" * 16,
    Found.REGISTERED,
    "operator:41c0",
    SEEN,
    verdict=VerdictWord.FAIL,
    audit_id="a-0002",
    audited_utc="2026-11-20",
)
LINEAGE = (
    LineageNode(
        "base",
        "0b5e" * 16,
        "",
        "base-vlm",
        (),
        (
            *(
                LineageNode("model", f"{one.version}e77" * 16, "lumen-vlm", "lumen-vlm", (one,))
                for one in VERSIONS
            ),
            LineageNode(
                "model",
                "3c3c" * 16,
                "",
                "harbor-base",
                (),
                (LineageNode("adapter", "77aa" * 16, "harbor-clip", "harbor-lora", (ADAPTED,)),),
            ),
        ),
    ),
)
LOOKED = (
    WatchedModel(
        "clear-vlm",
        "clear-vlm",
        1,
        WatchState.ABSENT,
        why="nothing lies at its folder: is the disk there?",
        looked_utc=SEEN,
        since_utc="2026-11-18T02:00:00.000Z",
    ),
    WatchedModel("harbor-clip", "harbor-clip", 1, WatchState.UNCHANGED, looked_utc=SEEN),
    WatchedModel("lumen-vlm", "lumen-vlm@3", 3, WatchState.CHANGED, UNANSWERED.parts, looked_utc=SEEN),
    WatchedModel(
        "north-vlm",
        "north-vlm",
        1,
        WatchState.CHANGING,
        why="files changed while they were read",
        looked_utc=SEEN,
        since_utc=SEEN,
    ),
)


def answered(nodes: tuple[LineageNode, ...], model: str) -> tuple[LineageNode, ...]:
    """The same trees once a version does not wait any more."""
    return tuple(
        replace(
            node,
            versions=tuple(replace(one, waits=one.waits and one.model != model) for one in node.versions),
            below=answered(node.below, model),
        )
        for node in nodes
    )
