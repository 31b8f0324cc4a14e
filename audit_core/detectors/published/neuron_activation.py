"""Neuron activation (Tang 2025, NA-PDD): similarity to what members wake minus to what non-members wake.

Per feed-forward layer, averaged; see `readings.neurons`.
"""

from __future__ import annotations

from audit_core.detectors.seam import one_scalar, register

WHERE = "it needs known members and fitting controls"
register(__name__, one_scalar("neuron_activation", "neuron_similarity", "Tang 2025", WHERE, ("neurons",)))
