"""Settings from the environment."""

import pytest
from pydantic import Field

from services.runtime.settings import LeafSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "S3_ALLOWED", "WORKERS", "LOG_LEVEL", "DRAIN_SECONDS"):
        monkeypatch.delenv(f"MARQUEE_{name}", raising=False)


def test_has_defaults() -> None:
    """An empty environment works: loopback, gRPC on 50051, metrics on 9464, no S3."""
    settings = load_settings(Settings)
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 50051, 9464)
    assert settings.s3_allowed == ()


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field is set by the variable MARQUEE_ plus its name in capitals."""
    monkeypatch.setenv("MARQUEE_PORT", "6000")
    assert load_settings(Settings).port == 6000


def test_an_empty_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, as charts leave them, means the default."""
    monkeypatch.setenv("MARQUEE_PORT", "")
    assert load_settings(Settings).port == 50051


def test_command_needs_no_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command works in a server's image, whose address would want to know who may call."""
    monkeypatch.setenv("MARQUEE_HOST", "0.0.0.0")
    assert load_settings(LeafSettings, listens=False).host == "127.0.0.1"
    with pytest.raises(SystemExit):
        load_settings(LeafSettings)


def test_splits_a_list_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is split at commas, with or without blanks; empty parts are dropped."""
    monkeypatch.setenv("MARQUEE_S3_ALLOWED", "one, two/prefix/ ,,")
    assert load_settings(Settings).s3_allowed == ("one", "two/prefix/")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("PORT", "http"), ("LOG_LEVEL", "loud"), ("DRAIN_SECONDS", "-1"), ("WORKERS", "0")],
)
def test_a_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """An invalid value ends the program with 2, and one line names the variable and the value."""
    monkeypatch.setenv(f"MARQUEE_{name}", value)
    with pytest.raises(SystemExit) as caught:
        load_settings(LeafSettings)
    (line,) = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert line.startswith(f"MARQUEE_{name}: ")
    assert repr(value) in line


@pytest.mark.parametrize(
    ("name", "value"), [("JWT_ISSUER", "https://me:secret@issuer"), ("JWT_ALGORITHMS", "RS256,HS256")]
)
def test_a_wrong_part_names_the_variable_but_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """One of several values is said of the variable that there is, and a URL is shown without its password."""
    monkeypatch.setenv(f"MARQUEE_{name}", value)
    with pytest.raises(SystemExit):
        load_settings(LeafSettings)
    stderr = capsys.readouterr().err
    assert stderr.startswith(f"MARQUEE_{name}: ")
    assert "secret" not in stderr


def test_all_wrong_values_are_shown_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two invalid values are two lines, so both can be corrected in one go."""
    monkeypatch.setenv("MARQUEE_PORT", "x")
    monkeypatch.setenv("MARQUEE_WORKERS", "x")
    with pytest.raises(SystemExit):
        load_settings(LeafSettings)
    stderr = capsys.readouterr().err
    assert [line.partition(":")[0] for line in stderr.splitlines()] == ["MARQUEE_PORT", "MARQUEE_WORKERS"]


def test_a_missing_value_names_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing setting without a default is reported under its variable's name."""

    class Needy(Settings):
        model: str = Field(description="Has no default.")

    with pytest.raises(SystemExit):
        load_settings(Needy)
    assert capsys.readouterr().err == "MARQUEE_MODEL: Field required\n"


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen once they are read."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1
