"""Early refresh: each reader may find a value old before it expires, ever likelier as it does.

XFetch, by Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention"
(VLDB 2015): a value is refreshed as soon as `now - cost * beta * ln(random) >= expiry`, so what
takes long to load is begun early, and rarely by two at once.
"""

from __future__ import annotations

import math
import random


def is_due(now: float, expiry: float, cost: float, beta: float) -> bool:
    """Whether this reader should refresh.

    Args:
        now: milliseconds since 1970.
        expiry: the same, of the value.
        cost: milliseconds that its load took.
        beta: eagerness; above 1 earlier, below 1 later.
    """
    return now - cost * beta * math.log(1.0 - random.random()) >= expiry
