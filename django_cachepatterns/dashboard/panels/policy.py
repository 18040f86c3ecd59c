"""The panels of the page of one policy, in their order."""

from __future__ import annotations

from . import TEMPLATES, Panel, memory, policies, register, speed, summary

register(
    Panel(
        "policy_summary",
        "At a glance",
        summary.of_policy,
        page="policy",
        template=f"{TEMPLATES}/summary.html",
        wide=True,
        of_figures=True,
    )
)
register(
    Panel(
        "policy_advice",
        "What to do",
        policies.advice_for_policy,
        page="policy",
        wide=True,
        of_figures=True,
    )
)
register(
    Panel(
        "policy_hit_rate",
        "Hit rate",
        policies.hit_rate,
        page="policy",
        template=f"{TEMPLATES}/hit_rate.html",
        wide=True,
        of_figures=True,
    )
)
register(
    Panel(
        "policy_latency",
        "Latency",
        speed.latency,
        page="policy",
        template=f"{TEMPLATES}/latency.html",
        wide=True,
        of_figures=True,
    )
)
register(Panel("policy_options", "Policy", policies.options, page="policy"))
register(Panel("policy_outcomes", "Counts", policies.outcomes, page="policy", of_figures=True))
register(
    Panel(
        "policy_hottest",
        "Hottest keys",
        policies.hottest,
        page="policy",
        template=f"{TEMPLATES}/hottest.html",
        of_figures=True,
    )
)
register(Panel("policy_memory", "Memory", memory.of_policy, page="policy", later=True))
