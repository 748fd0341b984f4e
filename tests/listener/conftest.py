"""A certificate for listeners with TLS."""

from pathlib import Path

import pytest
from support.certificates import issued, place

from gateway.config.paths import Tls


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    cert, path = place(tmp_path, issued())
    return Tls.model_construct(cert=cert, key=path)
