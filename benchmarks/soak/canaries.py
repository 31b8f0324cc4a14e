"""Canaries in every text field of images, reports, findings and what users type; then every byte is searched.

    python benchmarks/soak/canaries.py [--count 5] [--seed 0]

A site takes them in, is killed while it does, crashes with them in local variables, exports, reviews,
reveals, is backed up and changes its keys. Searched: workspace, exports, backup, temporary folders, shared
memory, and all that commands and crashes wrote; as text, wide text, hex and base64. The mutants: a cipher
that does nothing, errors without the redacting hooks, a note beside the log.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import working_site as site
from pydicom.datadict import DicomDictionary, keyword_for_tag

from appliance import cli, intake
from appliance.workspace import ga1
from tests.appliance import ward
from tests.appliance.test_workspace_canaries import Canaries, forms
from tests.medio.objects import image, oru, part10

PATIENTS = 6
_KINDS = ("LO", "SH", "PN", "ST", "LT", "CS", "UT", "AE", "UC")
_NO_IDENTITY = (0x0000, 0x0002, 0x0004, 0x0028, 0x7FE0)
_JOINED = {"SpecificCharacterSet", "Modality", "PatientID", "AccessionNumber", "IssuerOfPatientID"}
_LONGEST_S = 600.0
_OF_A_PERSON = (  # what PS3.15 Table E.1-1 removes or replaces; an export keeps what it does not list
    "PatientName", "PatientID", "OtherPatientIDs", "PatientAddress", "PatientComments",
    "AccessionNumber", "StudyID", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "StationName", "StudyDescription", "SeriesDescription",
    "ProtocolName", "ImageComments", "ReferringPhysicianName", "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy", "OperatorsName", "RequestingPhysician", "AdmissionID",
    "DeviceSerialNumber", "CurrentPatientLocation", "MedicalRecordLocator",
    "AdditionalPatientHistory", "Occupation", "EthnicGroup",
)  # fmt: skip
Mutant = Callable[[], None]


class Short(Canaries):
    """Canaries that fit into the shortest fields and character sets of DICOM."""

    def __init__(self) -> None:
        super().__init__()
        self._beginning = f"CQ{secrets.token_hex(3).upper()}"

    def new(self) -> str:
        """Fourteen capital letters and digits that nobody else writes, alike in the first eight."""
        self.all.append(f"{self._beginning}{len(self.all):06X}")
        return self.all[-1]

    def found_in(self, *directories: Path) -> set[str]:
        """As the slow search, which looks for each only where there is something that begins like all."""
        first, all_forms = forms(self._beginning), [(one, forms(one)) for one in self.all]
        hits: set[str] = set()
        for directory in directories:
            for path in directory.rglob("*"):
                data = os.fsencode(path.name) + (path.read_bytes() if path.is_file() else b"")
                if any(form in data for form in first):
                    hits |= {one for one, shapes in all_forms if any(shape in data for shape in shapes)}
        return hits

    def word(self, _: str) -> str:
        """One in the place of any word."""
        return self.new()


def run(count: int = 1, seed: int = 0) -> dict[str, Any]:
    """So many sites; canaries that were seeded and searched for, and those found.

    Args:
        seed: of the moments at which they are killed.
    """
    rng = random.Random(seed)
    tried = found = failures = 0
    said: list[str] = []
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="gradaudit-canaries-") as name:
            place = Place(Path(name))
            place.lived(rng)
            tried, found = tried + len(place.canaries.all), found + len(place.hits)
            failures += len(place.troubles)
            said += [*place.hits, *place.troubles]
    return {"tried": tried, "sites": count, "found": found, "failures": failures, "said": said[:5]}


class Place:
    """A site in a folder, with all that its commands write.

    Attributes:
        hits: the searches that found canaries, and how many.
        troubles: commands that did not end as they should.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.canaries = folder, Short()
        self.hits: list[str] = []
        self.troubles: list[str] = []
        for part in ("inbox", "leaving", "out", "tmp", "said"):
            (folder / part).mkdir()
        self.secret = folder / "passphrase"
        self.secret.write_text(f"{site.PASSPHRASE}\n", encoding="utf-8")
        self.secret.chmod(0o600)
        self.root = ward.build(folder / "workspace", self.canaries.word, cut_off=False)
        _inbox(folder / "inbox", self.canaries)
        _leaving(folder / "leaving", self.canaries)
        self._commands = 0

    def lived(self, rng: random.Random) -> None:
        """Everything that a site does, with a search after each step."""
        inbox, out = str(self.folder / "inbox"), self.folder / "out"
        self.cut_off(["ingest", inbox, "--workers", "1"], 0.2 + 4 * rng.random())
        self.command("ingest", inbox, "--workers", "1")
        self.crashed()
        leaving = str(self.folder / "leaving")
        self.command("studies", "export", leaving, "-o", str(out / "studies"), "--accept-burned-in")
        patient = self._somebody()
        reason, review = self.canaries.new(), self.canaries.new()
        self.command("findings", "reveal", ward.AUDIT, patient, "--reason", reason, shows_patients=True)
        self.command("log", "review", "--from", "0", "--to", "3", "--found", review)
        for form in ("jsonl", "fhir"):
            self.command("log", "export", "-o", str(out / f"log.{form}"), "--format", form)
        self.command("backup", str(out / "backup.tar"))
        self.command("users", "rotate", "--evidence")
        self.command("workspace", "verify")

    def _somebody(self) -> str:
        with site.Appliance.unlock(self.root, site.PASSPHRASE) as appliance:
            return appliance.findings(ward.AUDIT)[0].patient

    def command(self, *words: str, shows_patients: bool = False) -> None:
        """Run a command to its end and search.

        Args:
            words: after `gradaudit`.
            shows_patients: its terminal is not searched: to show them is what it is for.
        """
        ran = self._start(list(words))
        ran.wait(_LONGEST_S)
        if ran.code != 0:
            said = ran.said.read_text(encoding="utf-8")[-200:]
            self.troubles.append(f"{' '.join(words[:2])} ended with {ran.code}: {said}")
        if shows_patients:
            ran.said.unlink()
        self.search(" ".join(words[:2]))

    def cut_off(self, words: list[str], seconds: float) -> None:
        """Run a command, kill it, and search what it left."""
        ran = self._start(words)
        if not ran.wait(seconds):
            ran.kill(whole=True)
        self.search(f"{words[0]}, killed")

    def crashed(self, *, bare: bool = False) -> None:
        """An error nobody expects in the middle of an ingest, with canaries in message and local variables.

        Args:
            bare: the mutant: without the hooks and the last border of the command line.
        """
        name = self.canaries.new()

        def fail(*_: object, **__: object) -> None:
            patient = f"{name} {self.canaries.all[0]}"
            raise ValueError(patient)

        def broken() -> None:
            intake.Intake.run = fail  # type: ignore[assignment, method-assign]
            if bare:
                cli.redact = lambda: None
                cli.fault_line = lambda error: repr(error)

        ran = self._start(["ingest", str(self.folder / "inbox")], broken)
        ran.wait(_LONGEST_S)
        if ran.code != 1:
            self.troubles.append(f"a crash ended with {ran.code}")
        self.search("a crash")

    def _start(self, words: list[str], first: Mutant = lambda: None) -> site.Running:
        def in_its_room() -> None:
            tempfile.tempdir = None
            os.environ["TMPDIR"] = os.environ["SQLITE_TMPDIR"] = str(self.folder / "tmp")
            os.chdir(self.folder / "tmp")
            first()

        self._commands += 1
        said = self.folder / "said" / str(self._commands)
        return site.start(words, self.root, self.secret, said, in_its_room)

    def search(self, after: str) -> bool:
        """Look for every canary in every byte; whether one was found."""
        places = [self.folder / part for part in ("workspace", "out", "tmp", "said")]
        found = self.canaries.found_in(*places, *_memory())
        self.hits += [f"after {after}: {len(found)} canaries"] if found else []
        return bool(found)


def _memory() -> list[Path]:
    """Folders in memory that are this account's."""
    home = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "gradaudit"
    return [path for path in (home, Path(f"/dev/shm/gradaudit-{os.getuid()}")) if path.is_dir()]


def _inbox(folder: Path, canaries: Short) -> None:
    """Images with a canary in every text attribute, and their reports with one in every field; names too."""
    for number in range(PATIENTS):
        patient, accession, issuer = canaries.new(), canaries.new(), canaries.new()
        pixels = np.random.default_rng(number).integers(0, 4000, (64, 64), dtype=np.uint16)
        ds = image(pixels, StudyInstanceUID=f"1.2.3.{number}", SOPInstanceUID=f"1.2.3.{number}.1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some kinds of field have their own words
            for tag, (kind, many, *_) in DicomDictionary.items():
                keyword = keyword_for_tag(tag)
                text = tag >> 16 not in _NO_IDENTITY and kind in _KINDS and many.startswith("1")
                if text and keyword and keyword not in _JOINED:
                    setattr(ds, keyword, canaries.new() if number == 0 else canaries.all[tag % 40])
            ds.PatientID, ds.AccessionNumber, ds.IssuerOfPatientID = patient, accession, issuer
            block = ds.private_block(0x0019, canaries.new(), create=True)
            block.add_new(1, "LO", canaries.new())
        (folder / f"{canaries.new()}.dcm").write_bytes(part10(ds))
        words = " ".join(canaries.new() for _ in range(8))
        message = oru(
            f"OBR|1||{accession}|X^CT^L|||20240102",
            f"OBX|1|TX|X^Findings^L||The heart is of normal size. {words}||||||F",
        )
        person = f"PID|1||{patient}^^^{issuer}^MR||{canaries.new()}^{canaries.new()}"
        (folder / f"{canaries.new()}.hl7").write_bytes(
            message.replace(b"PID|1||PAT1^^^SITE^MR||DOE^JANE", person.encode())
        )


def _leaving(folder: Path, canaries: Short) -> None:
    """Images to be exported: a canary in each attribute that says something of a person; private ones."""
    for number in range(PATIENTS):
        pixels = np.random.default_rng(100 + number).integers(0, 4000, (64, 64), dtype=np.uint16)
        ds = image(pixels, StudyInstanceUID=f"1.2.4.{number}", SOPInstanceUID=f"1.2.4.{number}.1")
        for keyword in _OF_A_PERSON:
            setattr(ds, keyword, canaries.new())
        ds.private_block(0x0019, canaries.new(), create=True).add_new(1, "LO", canaries.new())
        (folder / f"{number}.dcm").write_bytes(part10(ds))


# -- mutants ---------------------------------------------------------------------------------------------


class _Nothing:
    """A cipher that adds a tag and leaves the text as it is."""

    def __init__(self, key: bytes) -> None:
        del key

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes | None) -> bytes:
        """The same bytes, and sixteen more."""
        return bytes(data) + bytes(16)

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes | None) -> bytes:
        """The same bytes, sixteen less."""
        return bytes(data)[:-16]


def _plain_chunks(place: Place) -> bool:
    ga1.AESGCM = _Nothing  # type: ignore[assignment, misc]
    try:
        with site.Appliance.unlock(place.root, site.PASSPHRASE) as appliance:
            appliance._workspace.vault.put("report-text", place.canaries.new().encode())
    finally:
        ga1.AESGCM = _CIPHER  # type: ignore[misc]
    return place.search("a mutant")


def _bare_errors(place: Place) -> bool:
    place.crashed(bare=True)
    return bool(place.hits)


def _note(place: Place) -> bool:
    (place.root / "log" / "slip").write_text(f"ingested {place.canaries.all[17]}", encoding="utf-8")
    return place.search("a mutant")


_CIPHER = ga1.AESGCM
MUTANTS: dict[str, Callable[[Place], bool]] = {
    "chunks are not encrypted": _plain_chunks,
    "errors are not redacted": _bare_errors,
    "a note beside the log": _note,
}


def missed() -> list[str]:
    """Mutants that were not seen, each in a site of its own."""
    unseen = []
    for title, caught in MUTANTS.items():
        with tempfile.TemporaryDirectory(prefix="gradaudit-canaries-") as name:
            if not caught(Place(Path(name))):
                unseen.append(title)
    return unseen


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="Seed canaries, and search every byte.")
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = run(asked.count, asked.seed)
    unseen = missed()
    found |= {"mutants": len(MUTANTS), "missed_mutants": len(unseen), "missed": unseen}
    print(json.dumps(found))
    return int(any(found[bad] for bad in ("found", "failures", "missed_mutants")))


if __name__ == "__main__":
    sys.exit(main())
