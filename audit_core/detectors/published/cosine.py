"""Cosine of a pair's own image and text embedding (Ko 2023): contrastive training pulls members together."""

from __future__ import annotations

from audit_core.detectors.seam import one_scalar, register

register(__name__, one_scalar("cosine", "cosine", "Ko 2023", "contrastive models have it"))
