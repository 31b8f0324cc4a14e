"""Schema 3: one directory of studies, results beside them, no key of any patient."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Boolean, Column, Integer, Text

revision = "0003"
down_revision = None


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True, nullable=False)


def upgrade() -> None:
    """Everything, from an empty database."""
    _studies()
    _pairs()
    _results()


def _studies() -> None:
    op.create_table(
        "instances",
        _key("content_digest"),
        *_texts(
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "SOPInstanceUID",
            "AccessionNumber",
            "PatientID",
            "IssuerOfPatientID",
            "StudyDate",
            "Modality",
            "BodyPartExamined",
            "TransferSyntaxUID",
        ),
        Column("attributes", JSON, nullable=False),
        *_texts("frame_object", "frame_rule"),
        Column("height", Integer, nullable=False),
        Column("width", Integer, nullable=False),
        *_texts("SOPClassUID"),
        Column("NumberOfFrames", Integer, nullable=False),
        *_texts("PlacerOrderNumber", "FillerOrderNumber", "InstitutionName"),
        Column("identity", JSON, nullable=False),
        Column("warnings", JSON, nullable=False),
    )
    op.create_index("instances_by_accession", "instances", ["AccessionNumber"])
    op.create_index("instances_by_study", "instances", ["StudyInstanceUID"])
    op.create_table(
        "reports",
        _key("content_digest"),
        *_texts(
            "source",
            "StudyInstanceUID",
            "AccessionNumber",
            "PatientID",
            "IssuerOfPatientID",
            "StudyDate",
            "status",
            "text_object",
            "issued",
        ),
        Column("OtherPatientIDs", JSON, nullable=False),
        Column("other_accessions", JSON, nullable=False),
        *_texts("PlacerOrderNumber", "FillerOrderNumber"),
        Column("study_references", JSON, nullable=False),
        Column("identity", JSON, nullable=False),
        *_texts("Modality"),
    )
    op.create_index("reports_by_accession", "reports", ["AccessionNumber"])
    op.create_index("reports_by_study", "reports", ["StudyInstanceUID"])
    op.create_table(
        "studies",
        _key("content_digest"),
        *_texts(
            "reference",
            "StudyInstanceUID",
            "AccessionNumber",
            "PatientID",
            "IssuerOfPatientID",
            "StudyDate",
            "Modality",
        ),
    )


def _pairs() -> None:
    op.create_table(
        "files",
        _key("content_digest"),
        *_texts("outcome", "reason", "taken_utc"),
    )
    op.create_table(
        "pairs",
        _key("pair_id"),
        *_texts(
            "patient",
            "StudyInstanceUID",
            "StudyDate",
            "Modality",
            "BodyPartExamined",
            "image_digest",
            "report_digest",
            "rule",
            "frame_rule",
        ),
        Column("standing", Boolean, nullable=False),
        *_texts("note"),
    )
    op.create_index("pairs_by_patient", "pairs", ["patient"])
    op.create_table(
        "quarantine",
        _key("content_digest"),
        *_texts("reason", "message", "name_hmac", "set_aside_utc"),
    )


def _results() -> None:
    op.create_table(
        "models",
        _key("name"),
        Column("document", JSON, nullable=False),
        *_texts("registered_utc"),
    )
    op.create_table(
        "cohorts",
        _key("name"),
        *_texts("digest"),
        Column("document", JSON, nullable=False),
        *_texts("created_utc"),
    )
    op.create_table(
        "audits",
        _key("audit_id"),
        *_texts("model", "cohort", "policy", "started_utc", "finished_utc", "state", "verdict", "why"),
        Column("result", JSON, nullable=True),
        *_texts("findings_object"),
        Column("digests", JSON, nullable=False),
    )
    op.create_index("audits_by_start", "audits", ["started_utc"])
    op.create_table(
        "settings",
        _key("key"),
        *_texts("value"),
    )
