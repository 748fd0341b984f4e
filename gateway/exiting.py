"""How a process of the gateway's ends that may have had a bad start."""

import sys
from collections.abc import Callable
from typing import NoReturn

from gateway.config.errors import ConfigInvalid
from gateway.errors import BadStart


def end_with(run: Callable[[], int]) -> NoReturn:
    """Ends the process with what `run` returns; with 2 and one line for each error where it raises BadStart."""
    try:
        sys.exit(run())
    except ConfigInvalid as invalid:
        lines = [str(error) for error in invalid.errors]
    except BadStart as bad:
        lines = [f"gateway: {bad}"]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.exit(2)
