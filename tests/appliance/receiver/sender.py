"""A PACS that sends, as a process of its own: `python -m tests.appliance.receiver.sender` with JSON on stdin.

It prints one JSON object a line: the status of every instance, as soon as the answer is there.
"""

from __future__ import annotations

import json
import ssl
import sys
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE, build_context

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"


def made(number: int, study: int, size: int) -> Dataset:
    """An instance whose patient must be found nowhere."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, f"2.25.{number + 1}"
    dataset.PatientName, dataset.PatientID = "CANARY^PATIENT", f"CANARY{study}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"2.25.9.{study + 1}", f"2.25.8.{study + 1}"
    dataset.Modality, dataset.AccessionNumber = "CT", f"CANARY-A{study}"
    dataset.StudyDate = "20250102"
    side = max(8, int((size // 2) ** 0.5))
    dataset.Rows = dataset.Columns = side
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    ramp = bytes((number + place) % 256 if place % 2 == 0 else 0 for place in range(2 * side))
    dataset.PixelData = ramp * side
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return dataset


def associated(
    port: int, certificate: str, key: str, authority: str, titles: tuple[str, str], more: Any
) -> Any:
    """An association, or what became of the attempt."""
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    context.load_cert_chain(certificate, key)
    entity = AE(titles[0])
    entity.requested_contexts = [
        build_context(CT, EXPLICIT),
        build_context(VERIFICATION),
        *(build_context(*one) for one in more),
    ]
    return entity.associate("127.0.0.1", port, ae_title=titles[1], tls_args=(context, "localhost"))


def say(line: str) -> None:
    """At once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Send what is asked for."""
    asked = json.load(sys.stdin)
    files = [dcmread(path) for path in asked.get("files", ())]
    contexts = {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in files}
    link = associated(
        *(asked[name] for name in ("port", "certificate", "key", "authority", "titles")), contexts
    )
    say(json.dumps({"established": link.is_established}))
    first, last = asked.get("numbers", (0, 0))
    given = [
        *files,
        *(made(one, one // asked.get("a_study", 5), asked["size"]) for one in range(first, last)),
    ]
    for one in given:
        answer = link.send_c_store(one)
        say(json.dumps({"uid": one.SOPInstanceUID, "status": answer.get("Status", -1)}))
    link.release()


if __name__ == "__main__":
    main()
