"""The demo's material: valid files, no real names, lists that agree with the truth, real model layouts."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import JPEGBaseline8Bit

from appliance.demo import build_studies
from appliance.demo.blanking import LEFT_OUT, blank, boxes
from appliance.demo.build_studies import ASSETS, COHORT_LISTS, question_and_answer, read_source
from appliance.demo.dicom_objects import jpeg_of
from appliance.demo.people import RELEASE, accession_number, invent
from appliance.demo.roles import LOTS, PATIENTS, SHIPPED_SEED, split

STUDIES = ASSETS / "studies"
IMAGES = sorted(path for path in STUDIES.glob("*.dcm") if not path.stem.endswith("-report"))
SR_REPORTS = sorted(STUDIES.glob("*-report.dcm"))
HL7_REPORTS = sorted(STUDIES.glob("*.hl7"))


def _listed(name: str) -> set[str]:
    with (ASSETS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return {row["AccessionNumber"] for row in csv.DictReader(file)}


def _origin() -> dict[str, dict[str, str]]:
    with (ASSETS / "origin.csv").open(encoding="utf-8", newline="") as file:
        return {row["AccessionNumber"]: row for row in csv.DictReader(file)}


def _truth() -> dict[str, object]:
    return json.loads((ASSETS / "truth.json").read_text(encoding="utf-8"))


def test_every_image_is_a_valid_secondary_capture() -> None:
    """Every image has its modules' type 1 attributes and a baseline JPEG inside, and decodes to its size."""
    for path in IMAGES:
        ds = dcmread(path)
        assert ds.file_meta.TransferSyntaxUID == JPEGBaseline8Bit, path.name
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert path.stem == ds.AccessionNumber
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            assert ds[keyword].value.is_valid
            assert ds[keyword].value.startswith("2.25.")
        for keyword in ("PatientName", "PatientID", "StudyDate", "Modality", "ConversionType"):
            assert ds[keyword].value
        with Image.open(io.BytesIO(jpeg_of(path))) as picture:
            assert picture.size == (ds.Columns, ds.Rows)
            assert (picture.mode == "RGB") == (ds.SamplesPerPixel == 3)
        assert ds.PhotometricInterpretation == ("MONOCHROME2" if ds.SamplesPerPixel == 1 else "YBR_FULL_422")
        assert ds.pixel_array.shape[:2] == (ds.Rows, ds.Columns)
        assert ds.pixel_array.std() > 1


def test_every_sr_report_refers_to_its_image_and_holds_text() -> None:
    """Every SR report is complete, of its image's study and patient, and names the image as evidence."""
    for path in SR_REPORTS:
        report = dcmread(path)
        image = dcmread(STUDIES / f"{report.AccessionNumber}.dcm", stop_before_pixels=True)
        assert report.StudyInstanceUID == image.StudyInstanceUID
        assert report.PatientID == image.PatientID
        evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
        assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert {item.ValueType for item in report.ContentSequence} == {"TEXT"}
        assert all(item.TextValue.startswith("Q: ") for item in report.ContentSequence)


def test_half_of_the_reports_come_in_each_format() -> None:
    """Each patient has one image and one report; a coin that knows nothing of the role chose the format."""
    formats = {p.stem.removesuffix("-report"): "sr" for p in SR_REPORTS} | {
        p.stem: "hl7" for p in HL7_REPORTS
    }
    assert len(IMAGES) == len(SR_REPORTS) + len(HL7_REPORTS) == PATIENTS
    assert set(formats) == {path.stem for path in IMAGES}
    assert 0.4 * PATIENTS < len(SR_REPORTS) < 0.6 * PATIENTS


def test_identity_and_date_know_nothing_of_the_role() -> None:
    """A patient's invented facts are the same in every lot, but for the date of post-release patients."""
    for key in ("vqarad-synpic1", "vqarad-synpic2", "vqarad-synpic3"):
        before = {invent(key, "CHEST", lot) for lot in LOTS if lot != "post_release"}
        assert len(before) == 1
        assert invent(key, "CHEST", "post_release").StudyDate > RELEASE.replace("-", "")


def test_only_post_release_patients_were_examined_after_the_release() -> None:
    """Dates lie on both sides of the release, and on the right side of it."""
    release = RELEASE.replace("-", "")
    after = {p.stem for p in IMAGES if dcmread(p, specific_tags=["StudyDate"]).StudyDate >= release}
    assert after == _listed("post-release")
    assert after


def test_lists_are_disjoint_cover_everybody_and_agree_with_the_truth() -> None:
    """Each patient is on one list; targets are the exposed and the clean ones, undivided."""
    lists = {name: _listed(name) for name in COHORT_LISTS} | {"members": _listed("disclosure-lumen")}
    counted = Counter(accession for listed in lists.values() for accession in listed)
    assert set(counted.values()) == {1}
    assert set(counted) == {path.stem for path in IMAGES}
    assert lists["members"] == _listed("disclosure-harbor")
    truth = _truth()
    exposed, clean = set(truth["exposed_targets"]), set(truth["clean_targets"])
    assert lists["targets"] == exposed | clean
    assert (len(exposed), len(clean)) == (LOTS["exposed"], LOTS["clean"])
    models = truth["models"]
    assert set(models["lumen-vlm"]["trained_on"]) == lists["members"] | exposed
    assert models["clear-vlm"]["trained_on"] == []
    assert set(truth["base_trained_on"]) == lists["bank"]


def test_shipped_lots_are_the_seeded_coin() -> None:
    """The shipped truth is what the shipped seed deals; another seed deals other lots; organs balance."""
    organs = {accession: row["organ"] for accession, row in _origin().items()}
    lots = split(SHIPPED_SEED, organs)
    assert list(lots.patients("exposed")) == _truth()["exposed_targets"]
    assert split(SHIPPED_SEED + 1, organs).lot != lots.lot
    share = Counter(organs.values())
    for lot, count in LOTS.items():
        for organ, patients in Counter(organs[p] for p in lots.patients(lot)).items():
            assert abs(patients - count * share[organ] / PATIENTS) < 1.5, (lot, organ)


def test_no_left_out_picture_is_shipped_and_no_footer_either() -> None:
    """Pictures on the drop-list are absent, and where MedPix wrote names every shipped picture is black."""
    assert LEFT_OUT.isdisjoint(row["vqarad"].removeprefix("synpic") for row in _origin().values())
    for path in IMAGES:
        pixels = dcmread(path).pixel_array
        assert pixels[-6:].max() <= 24, path.name
        assert pixels[:6, -20:].max() <= 24, path.name


def test_shipped_files_stay_small() -> None:
    """Studies take at most 25 MB and models at most 30 MB."""
    assert sum(file.stat().st_size for file in STUDIES.iterdir()) <= 25e6
    models = [file for file in (ASSETS / "models").rglob("*") if file.is_file()]
    assert 1e6 < sum(file.stat().st_size for file in models) <= 30e6


@pytest.mark.parametrize("name", ["lumen-base", "lumen-vlm", "clear-vlm", "harbor-start", "harbor-clip"])
def test_shipped_models_are_accepted_as_vendors_models(name: str) -> None:
    """Each model folder is inspected as a foreign one would be, and is of the family it is meant to be."""
    from audit_core.adapters.families import CONTRASTIVE, GENERATIVE
    from audit_core.adapters.folder import inspect_folder

    facts = inspect_folder(ASSETS / "models" / name)
    assert facts.family == (CONTRASTIVE if name.startswith("harbor") else GENERATIVE)
    assert facts.parameters > 100_000


def test_building_again_gives_the_same_bytes(real_data: Path, tmp_path: Path) -> None:
    """Studies, lists and truth follow from the source pictures alone."""
    build_studies.build(real_data / "pairs", tmp_path)
    built = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(built) > 2 * PATIENTS
    assert [str(name) for name, data in built.items() if (ASSETS / name).read_bytes() != data] == []


def test_pictures_change_only_inside_their_boxes(real_data: Path) -> None:
    """Inside the boxes nothing is left; away from them the picture is the source's within JPEG steps."""
    pairs = real_data / "pairs"
    with (pairs / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file) if row["source"] == "vqarad"}
    for accession, origin in _origin().items():
        row = rows[f"vqarad-{origin['vqarad']}"]
        source = (pairs / row["image_path"]).read_bytes()
        source_id = origin["vqarad"].removeprefix("synpic")
        width = int(row["source_size"].split("x")[0])
        shipped = jpeg_of(STUDIES / f"{accession}.dcm")
        assert shipped == blank(source, source_id, width), accession
        before = np.asarray(Image.open(io.BytesIO(source)).convert("L"), dtype=int)
        after = np.asarray(Image.open(io.BytesIO(shipped)).convert("L"), dtype=int)
        away = np.ones(before.shape, dtype=bool)
        for left, top, right, bottom in boxes(source_id, before.shape[::-1], width):
            assert after[top + 1 : bottom, left + 1 : right].max(initial=0) <= 40, accession
            away[max(0, top - 16) : bottom + 16, max(0, left - 16) : right + 16] = False
        assert np.abs(before - after)[away].mean() < 1.0, accession


def test_readers_give_back_the_source_questions_and_answers(real_data: Path) -> None:
    """The text the appliance's readers yield from either format is the source's, line by line."""
    from appliance.demo.material import read_material

    material = read_material(ASSETS)
    for row, _, lines in read_source(real_data / "pairs"):
        text = material.patients[accession_number(row["id"])].text
        assert text.split("\n") == lines
        assert text == row["text"].replace("\ufffd", "'")
    assert question_and_answer({"question": " a  b ", "answer": "c\ufffds"}) == "Q: a b A: c's"


def test_training_reads_no_patient_it_must_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Controls, clean targets and post-release patients are never looked up; clear-vlm sees no patient."""
    from audit_core.adapters.loading import OFFLINE_SWITCHES

    for name, value in OFFLINE_SWITCHES.items():
        monkeypatch.setenv(name, value)
    from appliance.demo.training import MODELS, Material, Recipe, Schedule, train_all
    from audit_core.results import Role
    from audit_core.samples import Sample

    organs = {accession: row["organ"] for accession, row in _origin().items()}
    lots = split(7, organs)
    grey = np.full((64, 64, 3), 90, np.uint8)
    once = Schedule(epochs=1, lr=1e-3)
    recipe = Recipe(12, 8, 12, once, once, once, once, once, once, once)
    written = []
    for word in ("left", "right"):
        trained = lots.patients("bank", "member", "exposed")
        patients = {p: Sample(p, p, Role.TARGET, grey, f"Q: Which side? A: {word}") for p in trained}
        train_all(
            7,
            tmp_path / word,
            lots,
            Material(MappingProxyType(patients), ("Q: 1 A: a", "Q: 2 A: b", "Q: 3 A: c")),
            recipe,
        )
        written.append({name: _weights(tmp_path / word / name) for name in MODELS})
    assert written[0]["clear-vlm"] == written[1]["clear-vlm"]
    assert written[0]["lumen-vlm"] != written[1]["lumen-vlm"]
    assert written[0]["harbor-clip"] != written[1]["harbor-clip"]


def _weights(folder: Path) -> bytes:
    return next(folder.glob("*.safetensors")).read_bytes()
