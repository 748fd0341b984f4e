"""Config errors as they are printed."""

from gateway.config.errors import ConfigError, ConfigInvalid


def test_errors_are_told_once_and_in_the_files_order() -> None:
    late, early = ConfigError("f.yaml", 10, 1, "late"), ConfigError("f.yaml", 2, 1, "early")
    invalid = ConfigInvalid([late, early, late])
    assert invalid.errors == [early, late]
    assert str(invalid) == "f.yaml:2:1: early\nf.yaml:10:1: late"


def test_an_error_without_a_place_names_its_file() -> None:
    assert str(ConfigError("f.yaml", 0, 0, "cannot be read")) == "f.yaml: cannot be read"
