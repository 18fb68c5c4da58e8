"""One bureau a module: making it costs more than asking it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.api.world import Bureau

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bureau to be copied."""
    folder = tmp_path_factory.mktemp("template")
    Bureau(folder).close()
    return folder


@pytest.fixture
def own(template: Path, tmp_path: Path) -> Path:
    """A copy of the template for one test, to be opened."""
    return shutil.copytree(template, tmp_path / "own")


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    made = Bureau(tmp_path_factory.mktemp("bureau"))
    made.add_people()
    yield made
    made.close()
