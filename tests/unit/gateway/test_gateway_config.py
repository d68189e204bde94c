"""The gateway's configuration file, and how its mistakes are reported."""

import os
import sys
from pathlib import Path

import pytest

from services.gateway.__main__ import main
from services.gateway.config import CalibrationConfig, ConfigError, Tls, Veto, load_config
from tests.support.processes import run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def test_reads_recognizers_in_their_order(path: Path) -> None:
    """Recognizers keep the file's order, which is also the order of results."""
    path.write_text(
        "tls: plaintext\nrecognizers: {svm: {target: 'svm:1'}, keras: {target: 'keras:2'}, aws: {target: 'aws:3'}}"
    )
    assert list(load_config(path).recognizers) == ["svm", "keras", "aws"]


def test_has_defaults(path: Path) -> None:
    """A recognizer needs only a target; by default it gets 10 s, 64 concurrent calls and no price."""
    path.write_text("recognizers: {svm: {target: 'localhost:50051'}}")
    svm = load_config(path).recognizers["svm"]
    assert (svm.timeout, svm.max_in_flight, svm.priced, svm.confident_score) == (10, 64, False, None)


def test_what_is_said_of_the_gateway_has_defaults(path: Path) -> None:
    """By default the gateway has as many places as its widest recognizer, a cache, and no veto and no calibration."""
    path.write_text("recognizers: {a: {target: 'localhost:1', max_in_flight: 8}, b: {target: 'localhost:2'}}")
    config = load_config(path)
    assert (config.places, config.confident_score, config.veto, config.calibration) == (64, 0.9, None, None)
    assert (config.cache.mib, config.cache.ttl, config.repeated_people) == (32, 300, False)


def test_reads_what_is_said_of_the_gateway(path: Path) -> None:
    """The gateway's own keys are read, and what a part of them leaves out keeps its default."""
    path.write_text(
        "max_in_flight: 9\nconfident_score: .8\nveto: {recognizer: a, label: Non-Celebrity}\ncache: {mib: 0}\n"
        "calibration: {table: t.json, threshold: .7}\nrepeated_people: true\n"
        "recognizers: {a: {target: 'localhost:1', confident_score: .95}}"
    )
    config = load_config(path)
    assert (config.places, config.confident_score, config.recognizers["a"].confident_score) == (9, 0.8, 0.95)
    assert config.veto == Veto(recognizer="a", label="Non-Celebrity", score=0.9)
    assert (config.cache.mib, config.cache.ttl, config.repeated_people) == (0, 300, True)
    assert config.calibration == CalibrationConfig(table=Path("t.json"), prior_unknown=0.5, threshold=0.7)


@pytest.mark.parametrize(
    ("target", "expected"),
    {
        "svm:50051": "dns:///svm:50051",
        "svm.marquee.svc.cluster.local:1": "dns:///svm.marquee.svc.cluster.local:1",
        "127.0.0.1:65535": "dns:///127.0.0.1:65535",
        "[::1]:50051": "dns:///[::1]:50051",
        "dns:///svm:50051": "dns:///svm:50051",
        "unix:/run/svm.sock": "unix:/run/svm.sock",
        "ipv4:10.0.0.1:1,10.0.0.2:1": "ipv4:10.0.0.1:1,10.0.0.2:1",
        "ipv6:[fd00::1]:50051": "ipv6:[fd00::1]:50051",
    }.items(),
)
def test_a_target_is_resolved_by_dns(path: Path, target: str, expected: str) -> None:
    """A host:port becomes a DNS target, so every address behind the name gets calls; other targets stay as they are."""
    path.write_text(f"recognizers: {{svm: {{target: '{target}', tls: plaintext}}}}")
    assert load_config(path).recognizers["svm"].target == expected


def test_entries_may_share_a_part(path: Path) -> None:
    """Entries can share a part through YAML anchors and merge keys."""
    path.write_text("tls: {}\nrecognizers:\n  a: &a {target: 'a:1', timeout: 3}\n  b: {<<: *a, target: 'b:1'}\n")
    assert load_config(path).recognizers["b"].timeout == 3


MISTAKES = {
    "an unknown key": ("recognizers:\n  svm:\n    target: svm:1\n    timout: 5\n", 4, "svm.timout: unknown key"),
    "no way off this machine": ("recognizers:\n  svm: {target: 'svm:1'}\n", 2, "svm: set tls"),
    "no way to one of two addresses": (
        "recognizers:\n  svm: {target: 'ipv4:127.0.0.1:1,10.0.0.1:1'}\n",
        2,
        "svm: set tls",
    ),
    "no name for several addresses": (
        "recognizers:\n  svm: {target: 'ipv4:10.0.0.1:1,10.0.0.2:1', tls: {}}\n",
        2,
        "svm: set tls.server_name",
    ),
    "no name for a socket": (
        "tls: {}\nrecognizers:\n  svm: {target: 'unix:/run/svm'}\n",
        3,
        "svm: set tls.server_name",
    ),
    "another word": (
        "recognizers:\n  svm:\n    target: svm:1\n    tls: none\n",
        4,
        "svm.tls: Input should be 'plaintext'",
    ),
    "a certificate without a key": (
        "recognizers: {svm: {target: 'svm:1'}}\ntls: {cert: a}\n",
        2,
        "tls: cert and key: set",
    ),
    "an unknown key of tls": ("tls: {cert_: a}\nrecognizers: {svm: {target: 'svm:1'}}\n", 1, "tls.cert_: unknown key"),
    "a token in plaintext": (
        "tls: plaintext\nrecognizers:\n  svm: {target: 'svm:1', token_file: a}\n",
        3,
        "svm: token_file: a token goes to another machine over TLS only",
    ),
    "an unknown key at the top": ("recogniser: {}\nrecognizers: {a: {target: 'a:1'}}\n", 1, "recogniser: unknown key"),
    "a duplicate name": (
        "recognizers:\n  svm: {target: 'a:1'}\n  svm: {target: 'b:1'}\n",
        3,
        'duplicate key "svm"',
    ),
    "no target": ("recognizers:\n  a: {target: 'a:1'}\n  svm:\n    timeout: 5\n", 3, "svm.target: Field required"),
    "a target without a port": ("recognizers:\n  svm:\n    target: svm\n", 3, "'svm' is not a target"),
    "a target with a wrong port": ("recognizers:\n  svm:\n    target: svm:70000\n", 3, "is not a target"),
    "a target of one wrong address": ("recognizers:\n  a:\n    target: 'ipv4:10.0.0.1:1,10.0.0.2'\n", 3, "use ipv4:"),
    "a target of another version": ("recognizers:\n  a:\n    target: 'ipv6:10.0.0.1:1'\n", 3, "use ipv6:"),
    "a target of nothing": ("recognizers:\n  a:\n    target: dns:///\n", 3, "nothing follows dns:"),
    "a target of HTTP": ("recognizers:\n  svm:\n    target: http://svm:80\n", 3, "is not a target"),
    "a timeout of 0": ("recognizers:\n  svm:\n    target: svm:1\n    timeout: 0\n", 4, "svm.timeout: "),
    "a timeout that is no number": ("recognizers:\n  svm:\n    target: svm:1\n    timeout: .nan\n", 4, "svm.timeout: "),
    "a shared part's value": (
        "recognizers:\n  a: &a\n    target: a:1\n    timeout: 999\n  b:\n    <<: *a\n",
        5,
        "b.timeout: ",
    ),
    "a name in capitals": ("recognizers:\n  SVM: {target: 'svm:1'}\n", 2, "SVM: String should match"),
    "a name that is a number": ("recognizers:\n  1: {target: 'svm:1'}\n", 2, "1: Input should be a valid string"),
    "a name with a slash": ("recognizers:\n  a/b: {target: 'svm:1'}\n", 2, "a/b: String should match"),
    "a veto of nobody": (
        "recognizers: {a: {target: 'a:1', tls: {}}}\nveto: {recognizer: b, label: X}\n",
        2,
        "veto: there",
    ),
    "a veto without a label": ("veto: {recognizer: a}\nrecognizers: {a: {target: 'a:1'}}\n", 1, "veto.label: Field"),
    "a confident score of 90": ("confident_score: 90\nrecognizers: {a: {target: 'a:1'}}\n", 1, "confident_score: "),
    "a confident score of 0": (
        "recognizers:\n  a:\n    target: localhost:1\n    confident_score: 0\n",
        4,
        "a.confident_score: ",
    ),
    "a negative cache": ("cache:\n  mib: -1\nrecognizers: {a: {target: 'a:1'}}\n", 2, "cache.mib: "),
    "a cache for ever": ("cache: {ttl: .inf}\nrecognizers: {a: {target: 'a:1'}}\n", 1, "cache.ttl: "),
    "a certain prior": (
        "calibration:\n  table: t\n  prior_unknown: 1\nrecognizers: {a: {target: 'a:1'}}\n",
        3,
        "calibration.prior_unknown: ",
    ),
    "no place at all": ("max_in_flight: 0\nrecognizers: {a: {target: 'a:1'}}\n", 1, "max_in_flight: "),
    "an entry without anything": ("recognizers:\n  svm:\n", 2, "svm: Input should be a valid dictionary"),
    "no recognizer": ("recognizers: {}\n", 1, "recognizers: "),
    "an empty file": ("", 1, "the file: Input should be a valid dictionary"),
    "a list": ("- svm\n", 1, "the file: "),
    "a tab": ("recognizers:\n\tsvm: x\n", 2, "cannot start any token"),
    "an open bracket": ("recognizers: {svm: {target: a\n", 2, "expected"),
    "two documents": ("recognizers: {}\n---\na: 1\n", 2, "another document"),
}


@pytest.mark.parametrize(("text", "line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_reports_a_mistake_with_its_line(path: Path, text: str, line: int, message: str) -> None:
    """A mistake is reported with its file, line, key and reason."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = [text for text in str(caught.value).splitlines() if message in text]
    assert [text.partition(": ")[0] for text in lines] == [f"{path}:{line}"]


def test_says_what_is_wrong_with_the_way_to_all_once(path: Path) -> None:
    """A mistake in `tls` of all recognizers is one line, however many there are."""
    path.write_text("recognizers: {a: {target: 'a:1'}, b: {target: 'b:1'}}\ntls: {key: a}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_said_of_all_holds_for_those_that_say_nothing(path: Path) -> None:
    """A recognizer's own `tls` goes before that of all; on this machine none is needed."""
    path.write_text("tls: {ca: ca}\nrecognizers: {a: {target: 'a:1'}, b: {target: 'b:1', tls: plaintext}}")
    recognizers = load_config(path).recognizers
    assert (recognizers["a"].tls, recognizers["b"].tls) == (Tls(ca=Path("ca")), "plaintext")


def test_reports_all_mistakes_at_once(path: Path) -> None:
    """Two mistakes are reported as two lines."""
    path.write_text("recognizers:\n  a: {target: a}\n  b: {}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["2", "3"]


def test_reports_a_file_that_is_nested_too_deeply(path: Path) -> None:
    """A file that nests without end is a mistake like others: a running gateway has to refuse it."""
    path.write_text("recognizers: " + "[" * 600)
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_config(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"recognizers:\0"], ids=["no UTF-8", "a NUL"])
def test_reports_a_file_that_is_not_text(path: Path, content: bytes) -> None:
    """The error for a file that is not text has the file's name and the variable that sets it."""
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"gateway\.yaml: (?s:.)*MARQUEE_GATEWAY_CONFIG"):
        load_config(path)


def test_a_missing_file_ends_the_gateway(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If its file is missing, the gateway exits with 2 and names the file and the variable."""
    monkeypatch.setenv("MARQUEE_GATEWAY_CONFIG", str(path))
    with pytest.raises(SystemExit) as caught:
        main()
    stderr = capsys.readouterr().err
    assert caught.value.code == 2
    assert stderr.startswith(f"{path}: ")
    assert "MARQUEE_GATEWAY_CONFIG" in stderr


def test_a_mistake_ends_the_process(path: Path) -> None:
    """Given a mistake, `python -m services.gateway` exits with 2 and prints only the mistake."""
    path.write_text("recognizers:\n  svm: {target: svm}\n")
    environment = os.environ | {"MARQUEE_GATEWAY_CONFIG": str(path)}
    command = [sys.executable, "-m", "services.gateway"]
    result = run(command, env=environment)
    assert result.returncode == 2
    assert result.stderr.startswith(f"{path}:2: recognizers.svm.target: ")
    assert len(result.stderr.splitlines()) == 1
