"""Loss (Yeom 2018): members have the smaller loss; score = −L.

Generative: mean ℓ_t over the report's tokens. Contrastive: minus the loss against the bank. Matching: log
p(match).
"""

from __future__ import annotations

from audit_core.detectors.seam import one_scalar, register

register(__name__, one_scalar("loss", "neg_loss", "Yeom 2018"))
