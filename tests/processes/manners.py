"""Settings under which the tests run their processes."""

from __future__ import annotations

FINAL = {"retry_for": "0", "resume_window": "0"}
"""The first cut is the end of the delivery, on both sides, and nothing of it is kept."""

BRISK = {"idle_limit": "2s", "ping_interval": "500ms"}
"""A side that says nothing is soon called lost."""

BRISK_AND_FINAL = {**BRISK, **FINAL}
