"""What these settings and these servers can and cannot do, and what to change.

The system checks say what the settings say by themselves. Here the servers are asked, and the
protocol is tried on them, with a key that is dropped again.
"""

from __future__ import annotations

from .diagnose import diagnose
from .finding import Finding, Level

__all__ = ["Finding", "Level", "diagnose"]
