"""System checks: what is wrong with settings, policies and buffers, said before traffic."""

from __future__ import annotations

from .buffers import check_buffer, check_buffers
from .dependencies import check_dependencies
from .models import check_model, check_models
from .servers import check_buffer_server
from .settings import check_settings

__all__ = [
    "check_buffer",
    "check_buffer_server",
    "check_buffers",
    "check_dependencies",
    "check_model",
    "check_models",
    "check_settings",
]
