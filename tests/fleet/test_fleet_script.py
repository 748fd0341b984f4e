import hashlib
from importlib.resources import files

import pytest

from gateway.fleet.script import Script

SCRIPTS = files("gateway.fleet") / "scripts"


def test_a_script_is_the_text_of_its_file() -> None:
    script = Script("load")
    assert script.text == (SCRIPTS / "load.lua").read_bytes()
    assert script.digest == hashlib.sha1(script.text, usedforsecurity=False).hexdigest().encode()


def test_a_large_one_is_joined_of_its_parts_in_their_order() -> None:
    text = Script("turn").text
    parts = sorted(part.name for part in (SCRIPTS / "turn").iterdir())
    places = [text.index((SCRIPTS / "turn" / part).read_bytes()) for part in parts]
    assert places == sorted(places)
    assert len(places) > 1


def test_there_is_no_script_without_a_file() -> None:
    with pytest.raises(FileNotFoundError):
        Script("nothing")
