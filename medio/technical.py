"""Short text and binary values that an exported image keeps: they describe the technique, not the person.

Table E.1-1 names what must go. Text that it does not name (labels, descriptions, identifiers of plans, prints
and worklists) goes as well unless it stands here: the standard adds text faster than tables follow.
"""

from __future__ import annotations

from typing import Final

from pydicom.datadict import tag_for_keyword

_TEXT = (
    # codes, and who made device and software
    *("CodeValue", "LongCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning"),
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ApplicationName", "ApplicationVersion"),
    *("SecondaryCaptureDeviceManufacturer", "SecondaryCaptureDeviceManufacturerModelName"),
    *("SecondaryCaptureDeviceSoftwareVersions", "DetectorManufacturerName", "DetectorManufacturerModelName"),
    *("ReceiveCoilManufacturerName", "TransmitCoilManufacturerName"),
    # how the image was taken
    *("SequenceName", "PulseSequenceName", "ImagedNucleus", "ReceiveCoilName", "TransmitCoilName"),
    *("MultiCoilConfiguration", "MultiCoilElementName", "ConvolutionKernel", "FilterType", "TypeOfFilters"),
    *("CollimatorGridName", "PlateType", "PhosphorType", "AcquisitionDeviceProcessingCode"),
    *("AcquisitionMode", "DoseModeName", "PaddleDescription", "OutputPower", "TransducerData"),
    *("ProcessingFunction", "PostprocessingFunction", "ImageFilter", "ContrastBolusRoute", "StageName"),
    *("ViewName", "TriggerSourceOrType", "CardiacFramingType", "PVCRejection", "Radionuclide"),
    *("Radiopharmaceutical", "RadiopharmaceuticalRoute", "EnergyWindowName", "AttenuationCorrectionMethod"),
    *("ReconstructionMethod", "ScatterCorrectionMethod", "DetectorLinesOfResponseUsed"),
    # what its values and frames mean
    *("WindowCenterWidthExplanation", "LUTExplanation", "ModalityLUTType", "LUTLabel", "RescaleType"),
    *("PositionReferenceIndicator", "ImageGeometryType", "StackID", "DimensionDescriptionLabel"),
    *("OpticalPathIdentifier", "ReferencedOpticalPathIdentifier"),
    *(
        "SegmentLabel",
        "SegmentAlgorithmName",
        "AlgorithmName",
        "AlgorithmVersion",
        "PatientSpeciesDescription",
    ),
)
_BINARY = (
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable"),
    *("ExtendedOffsetTableLengths", "ICCProfile", "LUTData", "AlphaPaletteColorLookupTableData"),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue", "Alpha")),
)
_TEXT_VRS: Final = frozenset({"LO", "SH", "UC"})
_BINARY_VRS: Final = frozenset({"OB", "OW", "OD", "OF", "OL", "OV"})
_KEPT: Final = frozenset(map(tag_for_keyword, (*_TEXT, *_BINARY)))


def is_technical(tag: int, vr: str) -> bool:
    """Whether an element that the profile's table does not name may stay; of numbers and codes always."""
    return vr not in _TEXT_VRS | _BINARY_VRS or tag in _KEPT
