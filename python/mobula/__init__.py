"""Mobula: task graphs on a system of actors."""
