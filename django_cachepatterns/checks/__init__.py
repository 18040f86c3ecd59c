"""System checks: what is wrong with settings, policies and buffers, said before traffic."""

from __future__ import annotations

from .dependencies import check_dependencies
from .models import check_model, check_models
from .settings import check_settings

__all__ = ["check_dependencies", "check_model", "check_models", "check_settings"]
