"""Settings that name files beside the config."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo

from gateway.config.section import Section


def _from_the_file(path: Path, info: ValidationInfo) -> Path:
    # The validation's context, which its stubs call optional, is the document.
    context: Any = info.context
    folder: Path = context.folder
    return folder / path


FromTheFile = Annotated[Path, AfterValidator(_from_the_file)]
"""A path that starts from the config file's folder."""


class Tls(Section):
    """TLS 1.2 and 1.3 on the port for clients. Both files are PEM, and read again when they change: connections from
    then on get the new certificate, and where the two do not go together the former ones serve on."""

    cert: FromTheFile
    """The certificate, then those between it and a root that clients know, as in `fullchain.pem`; relative to the
    config file."""
    key: FromTheFile
    """The certificate's private key, without a passphrase; relative to the config file."""
