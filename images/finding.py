"""What one check of the doctor's says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's end; `mend` is the command that helps when it is not `ok`."""

    subject: str
    ok: bool
    evidence: str
    mend: str = ""
    optional: bool = False
    """One more wall, which a service does without unless `require` names it."""
