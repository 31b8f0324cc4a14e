#!/usr/bin/env python3
"""Run the verifier of this checkout: `python3 verify_evidence.py PACK.zip` or a log's directory.

The verifier itself is one file, appliance/evidence/verify_evidence.py; carry that one, or the copy in a pack.
"""

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parent / "appliance/evidence/verify_evidence.py"), run_name="__main__")
