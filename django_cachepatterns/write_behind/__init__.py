"""Write-behind: counters, leaderboards and drafts that take writes at the speed of the buffer
server and reach the database exactly once.
"""

from __future__ import annotations

from .boards.leaderboard import Leaderboard
from .boards.standing import Standing
from .counter import Counter
from .drafts.draft import Draft

__all__ = ["Counter", "Draft", "Leaderboard", "Standing"]
