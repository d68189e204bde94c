"""Test of the page on one machine: all of it, from top to bottom."""

import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.deploy.machine import LEFT_OUT, PAGE, VERSION, Machine, reason
from tests.support import pages
from tests.support.processes import run, wait_until
from tests.support.web import csrf_token

pytestmark = pytest.mark.slow

_PICTURE = "helm/marquee/files/picture.jpg"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which every command of the page was typed, and showed what it shows there."""
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        (machine.folder / "etc/nginx/marquee").mkdir(parents=True)
        (machine.folder / "etc/nginx/marquee/callers.conf").write_text(f'"Bearer {"old-team" * 4}" old-team;\n')
        machine.read()
        yield machine


def test_a_caller_is_served(machine: Machine) -> None:
    """The token that the page shows opens the gateway, which at the page's end speaks TLS itself."""
    command = f'marquee recognize --recognizer svm --address "https://$HOST:50051" {_PICTURE}'
    assert "Grace Hopper" in machine.shell(command)


def test_a_visitor_is_served(machine: Machine) -> None:
    """So does it the page, for which it is typed into the form; there the picture is named, too."""
    with machine.browser(port=8080) as browser:
        form = {
            "csrf_token": csrf_token(browser.get("/sign-in")),
            "token": machine.shell("echo $MARQUEE_TOKEN").strip(),
        }
        assert browser.post("/sign-in", data=form).status_code == 303
        assert "svm" in browser.get("/").text


def test_settings_of_the_page_arrive(machine: Machine) -> None:
    """The cap, the region and the S3 objects that callers may name are the reader's, at the servers that need them."""
    gateway, rekognition = (
        (machine.folder / f"etc/marquee/{name}.env").read_text() for name in ("gateway", "rekognition")
    )
    assert "MARQUEE_S3_ALLOWED=my-pictures/incoming/\n" in gateway
    assert "AWS_REGION=eu-west-1\n" in rekognition
    assert "MARQUEE_REKOGNITION_DAILY_CAP_USD=7.5\n" in rekognition


def test_secrets_are_for_root_alone(machine: Machine) -> None:
    """Nobody else can read the tokens and the key of the sessions, not even after the page made another."""
    folder = machine.folder / "etc/marquee"
    modes = {name: (folder / name).stat().st_mode & 0o777 for name in ("token", "page-token", "session")}
    assert modes == {"token": 0o600, "page-token": 0o600, "session": 0o600}


def test_a_new_certificate_is_used(machine: Machine) -> None:
    """Certbot's hook brings it to the gateway, whose metrics stay on the loopback interface."""
    renewed = machine.renew()
    (block,) = [one for one in pages.blocks(PAGE, "sh") if one.text.startswith("install -d -m 750")]
    machine.shell("\n".join(line for line in block.text.splitlines() if line.startswith("certbot ")))
    where = ("localhost", machine.port(50051))
    wait_until(lambda: ssl.get_server_certificate(where).split() == renewed.decode().split())
    socket.create_server(("127.0.0.2", machine.port(9464))).close()


def test_the_later_version_runs(machine: Machine) -> None:
    """The upgrade checked it out."""
    described = run(["git", "describe", "--tags"], cwd=machine.folder / "opt/marquee").stdout
    assert described.strip() == VERSION


def test_blocks_left_out_are_on_the_page() -> None:
    """Each is there once, so that none is forgotten here, and their shell is sound."""
    left_out = [block for block in pages.blocks(PAGE, "sh", "console") if reason(block)]
    assert len(left_out) == len(LEFT_OUT)
    for block in left_out:
        pages.check_shell(block.text)
