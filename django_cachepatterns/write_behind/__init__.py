"""Write-behind: counters, leaderboards and drafts that take writes at the speed of the buffer
server and reach the database exactly once.
"""

from __future__ import annotations

from .counter import Counter
from .draft import Draft
from .leaderboard import Leaderboard
from .standing import Standing

__all__ = ["Counter", "Draft", "Leaderboard", "Standing"]
