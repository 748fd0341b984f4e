"""Configs in several files, and what is wrong with them."""

from pathlib import Path

from config.texts import ENVIRON

from gateway.config.errors import ConfigInvalid
from gateway.config.fixed import Fixed
from gateway.config.load import Loaded, loaded


def planted(folder: Path, **texts: str) -> Path:
    """The main config of files in `folder`: `__` in a name stands for `/`, and each ends with `.yaml`."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "main.yaml"


def grown(folder: Path, **texts: str) -> Loaded:
    """What the files hold together."""
    return loaded(planted(folder, **texts), ENVIRON)


def wrong(folder: Path, fixed: Fixed | None = None, **texts: str) -> list[str]:
    """What is wrong with them, the folder left out."""
    try:
        loaded(planted(folder, **texts), ENVIRON, fixed)
    except ConfigInvalid as invalid:
        return [str(error).replace(f"{folder}/", "") for error in invalid.errors]
    return []
