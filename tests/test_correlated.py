"""Gaps of joint meta-strategies: against brute force, and where theory says what they are."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

import games
from psro import correlated, exact
from psro.correlated import JointError
from tests_of_exact import random_plans
