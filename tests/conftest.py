"""Shared fixtures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# The first call into a large library takes long; that says nothing about the property.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips, stills and detector weights that lie beside the checkout; absent on most machines."""
    if _SHARED.is_dir():
        return _SHARED
    reason = f"real test material is not there ({_SHARED.parent.name}/{_SHARED.name} beside the checkout)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread of torch: tiny models are faster so. Other tests compare with processes of their own threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
