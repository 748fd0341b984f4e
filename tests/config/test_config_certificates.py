"""The certificate and its key: every way in which they cannot be used, told with its place, and how long they can."""

import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from config.texts import ENVIRON
from config.trees import grown, planted, wrong
from hypothesis import given
from hypothesis import strategies as st
from support.certificates import BEGINS, ENDS, chain, der, encrypted, issued, key, replaced, weak

from gateway.config.certificates import Validity, concerns, validity
from gateway.config.errors import ConfigInvalid
from gateway.config.fixed import Fixed
from gateway.config.load import loaded
from gateway.config.sources import Files

PLAIN = "upstreams: {api: {url: http://api}}\nroutes: [{access: public}]\n"
MAIN = f"{PLAIN}tls: {{cert: tls.crt, key: tls.key}}\n"
LEAF = issued()
RESTART = "needs a restart: the running gateway has another value"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    replaced(tmp_path / "tls.crt", chain(LEAF))
    replaced(tmp_path / "tls.key", key(LEAF))
    return tmp_path


def test_both_are_relative_to_the_file_and_sources_of_the_config(folder: Path) -> None:
    found = grown(folder, main=MAIN)
    tls = found.config.tls
    assert tls is not None
    assert (tls.cert, tls.key) == (folder / "tls.crt", folder / "tls.key")
    assert {tls.cert, tls.key} <= found.sources.files.keys()
    assert found.warnings == ()
    replaced(tls.cert, chain(issued()))
    assert found.sources.now() != found.sources


def test_there_is_none_unless_it_is_set(folder: Path) -> None:
    found = grown(folder, main=PLAIN)
    assert found.config.tls is None
    assert found.sources.files.keys() == {folder / "main.yaml"}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"tls.crt": None}, ["3:13: tls.cert: {}/tls.crt cannot be read: No such file or directory"]),
        ({"tls.key": None}, ["3:27: tls.key: {}/tls.key cannot be read: No such file or directory"]),
        (
            {"tls.crt": None, "tls.key": None},
            [
                "3:13: tls.cert: {}/tls.crt cannot be read: No such file or directory",
                "3:27: tls.key: {}/tls.key cannot be read: No such file or directory",
            ],
        ),
        ({"tls.crt": b"hello"}, ["3:13: tls.cert: {}/tls.crt holds no certificate in PEM"]),
        ({"tls.key": b"hello"}, ["3:27: tls.key: {}/tls.key holds no private key in PEM"]),
        (
            {"tls.key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
            ["3:27: tls.key: {}/tls.key holds no private key that can be read"],
        ),
        ({"tls.key": "another"}, ["3:27: tls.key: {}/tls.key is not the key of the certificate in `tls.cert`"]),
        ({"tls.key": "rsa"}, ["3:27: tls.key: {}/tls.key is not the key of the certificate in `tls.cert`"]),
        (
            {"tls.key": "encrypted"},
            ["3:27: tls.key: {}/tls.key is encrypted: nobody is there to type the passphrase"],
        ),
        ({"tls.crt": "weak", "tls.key": "weak key"}, ["3:13: tls.cert: {}/tls.crt cannot be used: ee key too small"]),
        ({"tls.crt": "root first"}, ["3:27: tls.key: {}/tls.key is not the key of the certificate in `tls.cert`"]),
    ],
    ids=["cert", "key", "both", "no cert", "no key", "broken", "another", "rsa", "encrypted", "weak", "order"],
)
def test_what_cannot_be_used_is_told_with_its_place(
    folder: Path, files: dict[str, bytes | str | None], told: list[str]
) -> None:
    rsa = trustme.KeyType.RSA
    short_chain, short_key = weak()
    made = {
        "weak": lambda: short_chain,
        "weak key": lambda: short_key,
        "another": lambda: key(issued()),
        "rsa": lambda: trustme.CA().issue_cert("a", key_type=rsa).private_key_pem.bytes(),
        "encrypted": lambda: encrypted(key(LEAF)),
        "root first": lambda: trustme.CA().cert_pem.bytes() + chain(LEAF),
    }
    for name, content in files.items():
        if content is None:
            (folder / name).unlink()
        else:
            replaced(folder / name, made[content]() if isinstance(content, str) else content)
    # The paths are shown as they are, which is below the folder.
    assert wrong(folder, main=MAIN) == [f"main.yaml:{each.format(folder)}".replace(f"{folder}/", "") for each in told]


def test_a_path_from_the_environment_is_not_shown(folder: Path) -> None:
    path = planted(folder, main=MAIN.replace("tls.crt", '"${CERT}"'))
    with pytest.raises(ConfigInvalid) as caught:
        loaded(path, ENVIRON | {"CERT": "secret.crt"})
    assert str(caught.value) == f"{path}:3:13: tls.cert: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("begins", "ends", "told"),
    [
        (-timedelta(days=1), timedelta(days=1), []),
        (-timedelta(days=9), -timedelta(days=1), ["tls.cert: expired on 2026-05-31: clients refuse it"]),
        (-timedelta(days=9), timedelta(), ["tls.cert: expired on 2026-06-01: clients refuse it"]),
        (timedelta(days=1), timedelta(days=9), ["tls.cert: is not valid before 2026-06-02"]),
        (timedelta(), timedelta(days=9), []),
    ],
    ids=["valid", "expired", "expires", "not yet", "begins"],
)
def test_one_that_clients_refuse_is_told_of(
    tmp_path: Path, begins: timedelta, ends: timedelta, told: list[str]
) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    found = issued(now + ends, now + begins)
    replaced(tmp_path / "tls.crt", chain(found))
    replaced(tmp_path / "tls.key", key(found))
    config = grown(tmp_path, main=MAIN).config
    warned = [str(each) for each in concerns(config, Files(), now.timestamp())]
    assert warned == [f"{tmp_path}/main.yaml:3:13: {each}" for each in told]


def test_an_expired_one_is_a_warning_and_no_error(tmp_path: Path) -> None:
    found = issued(BEGINS + timedelta(days=1))
    replaced(tmp_path / "tls.crt", chain(found))
    replaced(tmp_path / "tls.key", key(found))
    (warning,) = grown(tmp_path, main=MAIN).warnings
    assert "expired on 2020-01-02" in str(warning)


@pytest.mark.parametrize(("old", "new"), [(MAIN, PLAIN), (PLAIN, MAIN)], ids=["off", "on"])
def test_turning_it_on_or_off_needs_a_restart(folder: Path, old: str, new: str) -> None:
    fixed = Fixed.of(grown(folder, main=old).config)
    (told,) = wrong(folder, fixed, main=new)
    assert told.endswith(f"tls: {RESTART}")


def test_other_files_need_none(folder: Path) -> None:
    fixed = Fixed.of(grown(folder, main=MAIN).config)
    shutil.copy(folder / "tls.crt", folder / "other.crt")
    assert wrong(folder, fixed, main=MAIN.replace("tls.crt", "other.crt")) == []


@pytest.mark.parametrize("ends", [ENDS, datetime(2049, 12, 31, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)], ids=str)
def test_validity_is_read_from_either_form_of_time(ends: datetime) -> None:
    begins = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert validity(chain(issued(ends, begins))) == Validity(begins.timestamp(), ends.timestamp())


@pytest.mark.parametrize(
    ("begins", "ends", "found"),
    [
        (b"\x17\x0d700101000000Z", b"\x17\x0d700101000010Z", Validity(0.0, 10.0)),
        (b"\x18\x0f19700101000000Z", b"\x18\x0f19700101000010Z", Validity(0.0, 10.0)),
        (b"\x17\x0d700101000000Z", b"", None),
        (b"\x16\x0d700101000000Z", b"\x17\x0d700101000010Z", None),
        (b"\x17\x0d701301000000Z", b"\x17\x0d700101000010Z", None),
        (b"\x17\x0d\xff00101000000Z", b"\x17\x0d700101000010Z", None),
        (b"\x17\x0f700101000000Z", b"\x17\x0d700101000010Z", None),
    ],
    ids=["two digits", "four", "one time", "no time", "no month", "no text", "cut off"],
)
@pytest.mark.parametrize("version", [b"", b"\xa0\x03\x02\x01\x02"], ids=["1", "3"])
def test_times_are_read_where_they_stand(version: bytes, begins: bytes, ends: bytes, found: Validity | None) -> None:
    """The first version has no field that says so."""
    signed = version + element(0x02, b"\x07") + element(0x30) + element(0x30) + element(0x30, begins + ends)
    assert read(pem(element(0x30, element(0x30, signed)))) == found


@given(st.data())
def test_what_is_no_certificate_is_refused_and_nothing_worse(data: st.DataObject) -> None:
    content = bytearray(der(LEAF))
    for at in data.draw(st.lists(st.integers(0, 200), max_size=6)):
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    read(pem(bytes(content[:cut])))


@given(st.binary())
def test_nor_is_any_text(text: bytes) -> None:
    assert read(text) is None


def read(text: bytes) -> Validity | None:
    """None where it is refused."""
    try:
        return validity(text)
    except ValueError:
        return None


def element(tag: int, content: bytes = b"") -> bytes:
    return bytes([tag, 0x81, len(content)]) + content


def pem(content: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(content).encode()
