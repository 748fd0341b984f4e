"""The process around a gateway: its logs."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from gateway.config.schema import Log
from gateway.serving import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging as it was."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("form", ["json", "auto"])
def test_json_where_nobody_looks(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Log.model_validate({"format": form}))
    structlog.get_logger("a").info("said", route="product")
    said = json.loads(capsys.readouterr().err)
    assert (said["event"], said["level"], said["route"]) == ("said", "info", "product")


def test_for_people_where_the_config_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Log.model_validate({"format": "console"}))
    structlog.get_logger("a").info("said")
    assert "said" in capsys.readouterr().err


def test_less_than_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Log.model_validate({"format": "json", "level": "warning"}))
    structlog.get_logger("a").info("said")
    assert not capsys.readouterr().err


def test_libraries_do_not_echo_requests(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Log.model_validate({"format": "json"}))
    logging.getLogger("aiohttp.server").error("Authorization: Bearer rk_live_secret")
    assert not capsys.readouterr().err
