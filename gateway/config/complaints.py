"""A complaint about settings that make no sense together, and those that several kinds of settings give cause to."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from gateway.config.document import SettingPath
from gateway.config.salvage import did_you_mean
from gateway.config.schema import Config, Upstream


@dataclass(slots=True, frozen=True)
class Complaint:
    """Something wrong with the setting at `path`, unless a setting it `rests_on` was itself invalid."""

    path: SettingPath
    message: str
    rests_on: tuple[SettingPath, ...] = ()
    at_key: bool = True


def reference(config: Config, path: SettingPath, name: str | None, to: str) -> Iterator[Complaint]:
    """That nothing in the mapping `to` has the name at `path`."""
    known = config.document.names(to)
    if name is None or name in known:
        return
    word = config.document.literal(path)
    what = f"unknown {to.removesuffix('s')}{quoted(config, path, name)}"
    hint = did_you_mean(word, known) or (f"; known: {', '.join(sorted(known)[:10])}" if known else "; there are none")
    yield Complaint(path, what + hint, ((to,),), at_key=False)


def upstream_named(config: Config, name: str | None, path: SettingPath) -> Iterator[Complaint]:
    """That the `upstream` of the section at `path` is none, or is left out where there are several."""
    known = config.document.names("upstreams")
    yield from reference(config, (*path, "upstream"), name, "upstreams")
    if name is None and len(known) > 1:
        message = f"`upstream` is required where there are several: {', '.join(sorted(known)[:10])}"
        yield Complaint(path, message, ((*path, "upstream"),))


def upstream_in(config: Config, name: str | None) -> Upstream | None:
    """The upstream of this name, or the only one where it is None; None where that is unknown or at fault itself."""
    return config.upstreams.get(name or only_upstream(config))


def only_upstream(config: Config) -> str:
    """The name of the only upstream, empty where there are several or none."""
    names = config.document.names("upstreams")
    return next(iter(names)) if len(names) == 1 else ""


def repeated(config: Config, named: Iterable[tuple[Hashable, SettingPath]], what: str) -> Iterator[Complaint]:
    """Each name that one before it has: that it `is {what}`, and where that stands."""
    firsts: dict[Hashable, SettingPath] = {}
    for name, path in named:
        first = firsts.setdefault(name, path)
        if first != path:
            place = config.document.place(first, beside=path)
            yield Complaint(path, f"is {what}, {place}", at_key=False)


def parameters(
    config: Config, place: SettingPath, used: tuple[str, ...], known: tuple[str, ...], match: SettingPath
) -> Iterator[Complaint]:
    """The parameters used at `place` that the path pattern at `match` does not have."""
    for name in used:
        if name not in known:
            shown = quoted(config, place, name)
            hint = did_you_mean(name, known) if shown and config.document.literal(match) else ""
            yield Complaint(place, f"the match path has no parameter{shown}{hint}", (match,), at_key=False)


def quoted(config: Config, path: SettingPath, part: str) -> str:
    """A part of the text at `path` for a message; nothing where the text was substituted."""
    return f" `{part}`" if config.document.literal(path) else ""
