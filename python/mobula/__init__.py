"""Mobula: task graphs on a system of actors."""

from mobula._core import init, is_initialized, shutdown

__all__ = ["init", "is_initialized", "shutdown"]
