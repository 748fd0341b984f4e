"""What the Dockerfile promises, and the first process of a container that has yet to start."""

import errno
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from deploy.dockerfile import Instruction, stages
from support.gateway import ROOT
from support.polling import eventually

pytestmark = pytest.mark.slow

STAGES = stages(ROOT / "Dockerfile")
BUILD, IMAGE = STAGES


def test_reading_one(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text('# a\nFROM x:1 AS one\nRUN a \\\n  # why\n    && b\n\nFROM y\nCMD ["c", "d e"]\n')
    first, second = stages(path)
    assert (first.base, first.name, first.instructions) == ("x:1", "one", [Instruction("RUN", "a      && b")])
    assert (second.base, second.name, second.only("CMD").words) == ("y", "", ["c", "d e"])


def test_both_stages_have_one_pinned_python() -> None:
    assert len({stage.base for stage in STAGES}) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", IMAGE.base)


def test_it_runs_as_a_number_that_is_not_root() -> None:
    user, _, group = IMAGE.only("USER").rest.partition(":")
    assert int(user) > 1000
    assert group == "0"
    assert f"-o {user} -g {group} -m 0770 {IMAGE.only('VOLUME').rest}" in IMAGE.all("RUN")[-1].rest


def test_it_ends_by_the_signal_that_drains() -> None:
    assert IMAGE.only("STOPSIGNAL").rest == "SIGTERM"
    assert IMAGE.only("ENTRYPOINT").words + IMAGE.only("CMD").words == ["gateway", "serve", "--config", "config.yaml"]


def test_the_context_is_what_is_copied_and_no_more() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [word.removeprefix("./") for one in BUILD.all("COPY") for word in one.words[:-1]]
    assert ignored[0] == "*"
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(copied)
    assert all((ROOT / name).exists() for name in copied)
    assert IMAGE.all("COPY") == [Instruction("COPY", "--from=build /opt/gateway /opt/gateway")]


def test_nothing_secret_is_built_in() -> None:
    assert not [one for stage in STAGES for one in stage.all("ARG")]
    named = {word.partition("=")[0] for one in IMAGE.all("ENV") for word in one.words}
    assert named == {"PATH", "GATEWAY_LISTEN", "GATEWAY_ADMIN"}


def test_an_end_while_it_starts_is_an_end(tmp_path: Path) -> None:
    """It waits for its config here. Where it is the first process, a signal without a handler is not even delivered."""
    config = tmp_path / "config.yaml"
    os.mkfifo(config)
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
    with subprocess.Popen(command, cwd=ROOT) as process, ExitStack() as opened:
        opened.callback(os.close, eventually(lambda: writing(config)))
        eventually(lambda: told_to_end(process))
        assert process.returncode == 0


def told_to_end(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended. Told each time: what comes right before it begins to read is heard only after that."""
    process.send_signal(signal.SIGTERM)
    return process.poll() is not None


def writing(pipe: Path) -> int | None:
    """The pipe opened to write, None as long as nobody reads it."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
    return None
