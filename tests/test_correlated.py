"""Gaps of joint meta-strategies: against brute force, and where theory says what they are."""

from __future__ import annotations
