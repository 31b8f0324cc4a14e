"""The catalogue's tables. A column has the name of the field of the row type that fills it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import JSON, Boolean, Column, Dialect, Index, Integer, MetaData, Table, Text, TypeDecorator

SCHEMA: Final = (
    "6"  # settings["schema"]; a change of a table needs another number and a revision in `migrations`
)
EARLIEST: Final = 3  # the first that can be brought up to date
METADATA: Final = MetaData()


class _Strings(TypeDecorator[tuple[str, ...]]):
    """A tuple of strings, as a JSON list."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """The list that JSON gives, as the tuple that went in."""
        return tuple(value or ())


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True, nullable=False)


INSTANCES: Final = Table(
    "instances",
    METADATA,
    _key("content_digest"),
    _text("StudyInstanceUID"),
    _text("SeriesInstanceUID"),
    _text("SOPInstanceUID"),
    _text("AccessionNumber"),
    _text("PatientID"),
    _text("IssuerOfPatientID"),
    _text("StudyDate"),
    _text("Modality"),
    _text("BodyPartExamined"),
    _text("TransferSyntaxUID"),
    Column("attributes", JSON, nullable=False),
    _text("frame_object"),
    _text("frame_rule"),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    _text("SOPClassUID"),
    Column("NumberOfFrames", Integer, nullable=False),
    _text("PlacerOrderNumber"),
    _text("FillerOrderNumber"),
    _text("InstitutionName"),
    Column("identity", _Strings, nullable=False),
    Column("warnings", _Strings, nullable=False),
    Index("instances_by_study", "StudyInstanceUID"),
    Index("instances_by_accession", "AccessionNumber"),
)

REPORTS: Final = Table(
    "reports",
    METADATA,
    _key("content_digest"),
    _text("source"),
    _text("StudyInstanceUID"),
    _text("AccessionNumber"),
    _text("PatientID"),
    _text("IssuerOfPatientID"),
    _text("StudyDate"),
    _text("status"),
    _text("text_object"),
    _text("issued"),
    Column("OtherPatientIDs", _Strings, nullable=False),
    Column("other_accessions", _Strings, nullable=False),
    _text("PlacerOrderNumber"),
    _text("FillerOrderNumber"),
    Column("study_references", _Strings, nullable=False),
    Column("identity", _Strings, nullable=False),
    _text("Modality"),
    Index("reports_by_study", "StudyInstanceUID"),
    Index("reports_by_accession", "AccessionNumber"),
)

STUDIES: Final = Table(
    "studies",
    METADATA,
    _key("content_digest"),
    _text("reference"),
    _text("StudyInstanceUID"),
    _text("AccessionNumber"),
    _text("PatientID"),
    _text("IssuerOfPatientID"),
    _text("StudyDate"),
    _text("Modality"),
)

FILES: Final = Table(
    "files", METADATA, _key("content_digest"), _text("outcome"), _text("reason"), _text("taken_utc")
)

PAIRS: Final = Table(
    "pairs",
    METADATA,
    _key("pair_id"),
    _text("patient"),
    _text("StudyInstanceUID"),
    _text("StudyDate"),
    _text("Modality"),
    _text("BodyPartExamined"),
    _text("image_digest"),
    _text("report_digest"),
    _text("rule"),
    _text("frame_rule"),
    Column("standing", Boolean, nullable=False),
    _text("note"),
    Index("pairs_by_patient", "patient"),
)

QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    _key("content_digest"),
    _text("reason"),
    _text("message"),
    _text("name_hmac"),
    _text("set_aside_utc"),
)

MODELS: Final = Table(
    "models", METADATA, _key("name"), Column("document", JSON, nullable=False), _text("registered_utc")
)

COHORTS: Final = Table(
    "cohorts",
    METADATA,
    _key("name"),
    _text("digest"),
    Column("document", JSON, nullable=False),
    _text("created_utc"),
)

AUDITS: Final = Table(
    "audits",
    METADATA,
    _key("audit_id"),
    _text("model"),
    _text("cohort"),
    _text("policy"),
    _text("started_utc"),
    _text("finished_utc"),
    _text("state"),
    _text("verdict"),
    _text("why"),
    Column("result", JSON(none_as_null=True), nullable=True),
    _text("findings_object"),
    Column("digests", JSON, nullable=False),
    Index("audits_by_start", "started_utc"),
)

SUBJECT_KEYS: Final = Table("subject_keys", METADATA, _key("subject"), _text("wrapped"))

REVIEWS: Final = Table("reviews", METADATA, _key("digest"), _text("content"))

CASE_STEPS: Final = Table("case_steps", METADATA, _key("digest"), _text("content"))

SETTINGS: Final = Table("settings", METADATA, _key("key"), _text("value"))
