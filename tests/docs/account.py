"""An AWS account, and the programs that docs/eks.md calls: moto is AWS, and the others do what the page needs of them.

A program is a forwarder to this process, so that a page of a hundred commands takes seconds.
"""

import io
import shlex
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from moto import mock_aws, settings
from ruamel.yaml import YAML

from helm import manifests
from tests.deploy import schemas
from tests.support import awscli
from tests.support.pages import add_program
from tests.support.processes import ROOT

ZONE = "example.com."
_PROGRAMS = ("aws", "curl", "docker", "eksctl", "git", "grpcurl", "helm", "kubectl", "make")
_SEPARATOR = "\x1f"
_FORWARDER = """\
import os, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({address!r})
link.sendall({separator!r}.join([{name!r}, *sys.argv[1:]]).encode())
link.shutdown(socket.SHUT_WR)
code, _, output = b"".join(iter(lambda: link.recv(65536), b"")).partition(b"\\n")
os.write(1, output)
sys.exit(int(code))
"""


class Account:
    """What the page has made, and what is wrong with its commands."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.pushed: set[str] = set()
        self.images: set[str] = set()
        self._quota = 0.0
        self._address = ""

    def run(self, program: str, *arguments: str) -> str:
        """Return what the program prints. Raises AssertionError, or what boto3 raises, if the command is wrong."""
        return str(getattr(self, f"_{program}", lambda *_: "")(*arguments))

    def left(self) -> dict[str, list[str]]:
        """Return what is there of each kind that the page makes."""
        zone = _client("route53").list_hosted_zones()["HostedZones"][0]["Id"]
        records = _client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return {
            "buckets": [each["Name"] for each in _client("s3").list_buckets()["Buckets"]],
            "tables": _client("dynamodb").list_tables()["TableNames"],
            "policies": [each["PolicyName"] for each in _client("iam").list_policies(Scope="Local")["Policies"]],
            "roles": [each["RoleName"] for each in _client("iam").list_roles()["Roles"] if each["Path"] == "/"],
            "repositories": [each["repositoryName"] for each in _client("ecr").describe_repositories()["repositories"]],
            "certificates": [
                each["DomainName"] for each in _client("acm").list_certificates()["CertificateSummaryList"]
            ],
            "databases": [
                each["DBInstanceIdentifier"] for each in _client("rds").describe_db_instances()["DBInstances"]
            ],
            "records": [each["Name"] for each in records if each["Type"] == "CNAME"],
        }

    def _aws(self, *arguments: str) -> str:
        scripted = self._scripted(" ".join(arguments))
        if scripted is not None:
            awscli.check(["aws", *arguments])
            return scripted
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = awscli.main(arguments)
        assert code == 0, (arguments, errors.getvalue())
        return output.getvalue()

    def _scripted(self, command: str) -> str | None:
        """Return the answers of services that moto lacks, and None for the others."""
        if "request-service-quota-increase" in command:
            self._quota = 8
        answers = {
            "service-quotas get": str(self._quota >= 8 if ">=" in command else self._quota),
            "service-quotas request": "",
            "cloudformation": "",
            "ecr get-login-password": "password",
            "eks describe-cluster": "vpc-1" if "vpcId" in command else "sg-1",
            "eks": "",
            "ec2 describe-subnets": "\t".join(_subnets()),
            "ec2 create-tags": "",
        }
        return next((answer for start, answer in answers.items() if command.startswith(start)), None)

    def _docker(self, command: str, *arguments: str) -> str:
        if command == "push":
            (image,) = arguments
            _client("ecr").describe_repositories(repositoryNames=[image.partition("/")[2].partition(":")[0]])
            self.pushed.add(image)
        return ""

    def _eksctl(self, verb: str, kind: str, *arguments: str) -> str:
        if kind == "cluster":
            config = self._file("--config-file", arguments)
            assert schemas.eksctl_faults(config) == []
            {"create": _create_roles, "delete": _delete_roles}.get(verb, lambda _: None)(config)
        return ""

    def _helm(self, command: str, *arguments: str) -> str:
        if command == "upgrade" and "helm/marquee" in arguments:
            rendered = manifests.render(ROOT / "helm/marquee", self._values(arguments))
            self.images |= manifests.images(manifests.objects(rendered))
            self._address = self._address or _load_balancer()
        return ""

    def _kubectl(self, *arguments: str) -> str:
        return self._address if arguments[:2] in (("get", "ingress"), ("get", "gateway")) else ""

    def _values(self, arguments: tuple[str, ...]) -> dict[str, Any]:
        """Return the values of the files; none has an object of values that an earlier one has, too."""
        files = [arguments[place + 1] for place, name in enumerate(arguments) if name == "--values"]
        loaded = [YAML(typ="safe", pure=True).load(self.checkout / file) for file in files]
        return {key: value for values in reversed(loaded) for key, value in values.items()}

    def _file(self, option: str, arguments: tuple[str, ...]) -> Any:
        """Return what is in the file of YAML that the option names."""
        return YAML(typ="safe", pure=True).load(self.checkout / arguments[arguments.index(option) + 1])


@contextmanager
def account(checkout: Path, programs: Path) -> Iterator[Account]:
    """Put the programs into a folder; yield the Account that they call, with a zone."""
    with mock.patch.object(settings, "ACM_VALIDATION_WAIT", -1), mock_aws():
        _client("route53").create_hosted_zone(Name=ZONE, CallerReference="1")
        account = Account(checkout)
        address = str(programs / "socket")
        for name in _PROGRAMS:
            text = _FORWARDER.format(address=address, separator=_SEPARATOR, name=name)
            add_program(programs / name, text, f"{sys.executable} -IS")
        add_program(programs / "marquee", _marquee())
        with _server(address, account.run):
            yield account


def _marquee() -> str:
    python = shlex.quote(sys.executable)
    return f'[ "$1" != auth ] || PYTHONPATH={shlex.quote(str(ROOT))} exec {python} -m marquee "$@"'


@contextmanager
def _server(address: str, run: Callable[..., str]) -> Iterator[None]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                code, output = 0, run(*self.rfile.read().decode().split(_SEPARATOR))
            except Exception as exc:  # noqa: BLE001 - the page's reader sees it
                code, output = 1, f"{type(exc).__name__}: {exc}\n"
            self.wfile.write(f"{code}\n{output}".encode())

    with socketserver.UnixStreamServer(address, Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@cache
def _client(service: str) -> Any:
    return boto3.Session().client(service, region_name="us-east-1")


def _create_roles(config: dict[str, Any]) -> None:
    for each in config["iam"]["podIdentityAssociations"]:
        if "roleName" in each:
            _client("iam").create_role(RoleName=each["roleName"], AssumeRolePolicyDocument="{}")
            for arn in each["permissionPolicyARNs"]:
                _client("iam").attach_role_policy(RoleName=each["roleName"], PolicyArn=arn)


def _delete_roles(config: dict[str, Any]) -> None:
    for each in config["iam"]["podIdentityAssociations"]:
        for arn in each.get("permissionPolicyARNs", ()):
            _client("iam").detach_role_policy(RoleName=each["roleName"], PolicyArn=arn)
        if "roleName" in each:
            _client("iam").delete_role(RoleName=each["roleName"])


def _load_balancer() -> str:
    """Create one; return its address."""
    (balancer,) = _client("elbv2").create_load_balancer(Name="marquee", Subnets=_subnets())["LoadBalancers"]
    return str(balancer["DNSName"])


def _subnets() -> list[str]:
    return [each["SubnetId"] for each in _client("ec2").describe_subnets()["Subnets"][:2]]
