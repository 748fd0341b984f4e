"""Workers with a store of their own each: `python -m support.apart FILE N`, which starts itself with `--worker`."""

import sys
from pathlib import Path

from gateway.config.load import loaded
from gateway.config.schema import Config
from gateway.exiting import end_with
from gateway.workers.supervisor import supervise
from gateway.workers.worker import work


def placed(config: Config, number: int) -> Config:
    """The config with the worker's own folder."""
    store = config.store
    return config.model_copy(update={"store": store.model_copy(update={"path": store.path / f"worker-{number}"})})


def main() -> None:
    if sys.argv[1] == "--worker":
        channel, listening = map(int, sys.argv[2:])
        end_with(lambda: work(channel, listening, placed))
    path, workers = Path(sys.argv[1]), int(sys.argv[2])
    command = (sys.executable, "-P", "-m", "support.apart", "--worker")
    end_with(lambda: supervise(loaded(path), path, workers, command))


if __name__ == "__main__":
    main()
