"""The machine's facts that a figure means nothing without."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.settings import Settings

_VERSIONS = {
    "nginx": ("nginx", "-v"),
    "HAProxy": ("haproxy", "-v"),
    "Varnish": ("varnishd", "-V"),
    "wrk": ("wrk", "-v"),
}


def facts(settings: Settings) -> dict[str, str]:
    """Date, processor, system, versions and what was asked for, as text."""
    sizes = {name: value for name, value in asdict(settings).items() if name != "peers"}
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(_versions()),
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
        "run": ", ".join(f"{name} {value:,}" for name, value in sizes.items()),
    }


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _versions() -> Iterator[str]:
    for name, command in _VERSIONS.items():
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if found := re.search(r"\d+\.\d+[.\d]*", told.stdout + told.stderr):
            yield f"{name} {found[0]}"
