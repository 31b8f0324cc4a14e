"""What arrives from the hospital's network: DICOM and HL7 over mutual TLS, sealed before it is acknowledged.

Start with `process.py`. The process that listens holds one public key and no other: it cannot open what it
has received (docs/decisions/receiver-writes-only.md). `taking` is the other side, where the keys are.
"""
