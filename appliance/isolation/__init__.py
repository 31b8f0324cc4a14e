"""The box around the process that touches foreign bytes: see `box.close_box` and `attempts.probe`."""

from appliance.isolation.attempts import broken_promises, probe
from appliance.isolation.box import LAYERS, ON, close_box

__all__ = ["LAYERS", "ON", "broken_promises", "close_box", "probe"]
