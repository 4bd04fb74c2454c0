"""What the suite's services have in common."""

from __future__ import annotations

import os

RUNTIME = os.environ.get("WARMBOX_TEST_RUNTIME", "runc")
