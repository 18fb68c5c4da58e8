"""One bureau a module: making it costs more than asking it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.world import Bureau

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    made = Bureau(tmp_path_factory.mktemp("bureau"))
    made.add_people()
    yield made
    made.close()
