"""Every name in a page is that of something: options, variables, files, targets, metrics, reasons, values and links."""

import re
from pathlib import Path

import pytest

from tests.support import names
from tests.support.processes import ROOT

_HISTORY = {"CHANGELOG.md", "RESULTS.md"}
"""They speak of what was."""
_FOLDERS = (".github", "bench", "deploy", "docs", "examples", "helm", "models", "tests/deploy")
_MADE = {"new-recognizer.md": "focus"}
"""What pages have their readers make, which a test of each follows."""
_TYPED = {("shell_variables", "one-host.md")}
"""Left to a test that types the whole page."""
PAGES = [
    path
    for path in (*sorted(ROOT.glob("*.md")), *(page for top in _FOLDERS for page in sorted((ROOT / top).rglob("*.md"))))
    if path.name not in _HISTORY and "node_modules" not in path.parts
]


@pytest.mark.parametrize("kind", names.KINDS)
def test_every_name_is_that_of_something(kind: str) -> None:
    """No page names what is not there."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in PAGES
        for line, name in names.KINDS[kind](names.page_of(path))
        if _MADE.get(path.name, "\n") not in name.lower() and (kind, path.name) not in _TYPED
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        ("links", "[privacy](docs/privcy.md)", "docs/privcy.md"),
        ("links", "[erase](docs/privacy.md#erase-somebody)", "docs/privacy.md#erase-somebody"),
        ("links", "![picture](docs/bath.png)", "docs/bath.png"),
        ("files", "`services/gateway/fushion.py`", "services/gateway/fushion.py"),
        ("files", "```sh\ncp deploy/one-host/gatway.yaml /etc\n```", "deploy/one-host/gatway.yaml"),
        ("files", "as services/gateway/fushion.py does", "services/gateway/fushion.py"),
        ("variables", "MARQUEE_S3_ALOWED", "MARQUEE_S3_ALOWED"),
        ("variables", "`MARQUEE_OIDCC_…`", "MARQUEE_OIDCC_…"),
        ("shell_variables", "```sh\nexport HOST=a\ncurl $HOST/$PATHS\n```", "$PATHS"),
        ("commands", "```console\n$ marquee recognise both.jpg\n```", "marquee recognise"),
        ("commands", "`marquee people shwo ada`", "marquee people shwo"),
        (
            "commands",
            "`python -m services.rekognition.collections reconcil people`",
            "services.rekognition.collections reconcil",
        ),
        ("options", "```sh\nmarquee recognize both.jpg --drow both.png\n```", "marquee … --drow"),
        ("options", "`python -m services.svm.train DIR --recipee wavelet`", "services.svm.train … --recipee"),
        ("options", "with `--jobz`", "--jobz"),
        ("options", "go on with --colour instead", "--colour"),
        ("targets", "`make dmeo`", "make dmeo"),
        ("extras", "`pip install 'marquee[telemetry]'`", "[telemetry]"),
        ("modules", "```python\nclient.recognise(picture)\n```", "client.recognise"),
        ("modules", "`python -m services.svm.trainer`", "python -m services.svm.trainer"),
        ("modules", "`marquee.TokenExpird`", "marquee.TokenExpird"),
        ("modules", "`services.gatewayy`\n```python\nimport services.gateway\n```", "services.gatewayy"),
        ("modules", "```python\nfrom marquee import Cliant\n```", "marquee.Cliant"),
        ("modules", "```python\nclient.recognize(picture, featurez=1)\n```", "client.recognize … featurez"),
        ("metrics", "`marquee_verdict_total`", "marquee_verdict_total"),
        ("metrics", '`marquee_reloads_total{outcom="refused"}`', "marquee_reloads_total{outcom}"),
        ("alerts", "MarqueeGatewayGone fires", "MarqueeGatewayGone"),
        ("reasons", "refused with NAME_TAKN", "NAME_TAKN"),
        ("reasons", "`OVERLODED`", "OVERLODED"),
        ("values", "`web.ingres.host`", "web.ingres.host"),
        ("values", "`webb.enabled`", "webb.enabled"),
        ("values", "```sh\nhelm upgrade marquee helm/marquee --set alerts.enable=true\n```", "alerts.enable"),
        ("values", "```yaml\nweb: {ingress: {hosts: [a.example]}}\n```", "web.ingress.hosts"),
        ("routes", "`/v1/recognise`", "/v1/recognise"),
        ("routes", "probes ask `/alivez`", "/alivez"),
        ("methods", "marquee.v1.RecognizerService/RecogniseImage", "marquee.v1.RecognizerService/RecogniseImage"),
        ("images", "kubectl logs deployment/marquee-gatewy", "marquee-gatewy"),
        (
            "requests",
            "```sh\ngrpcurl -d '{\"imag\": {}}' HOST marquee.v1.RecognizerService/RecognizeImage\n```",
            "imag",
        ),
        ("words", "`takes_face_box`", "takes_face_box"),
    ],
)
def test_a_wrong_name_is_found(kind: str, text: str, name: str, tmp_path: Path) -> None:
    """A name that is nothing's is told, with its line."""
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{text}\n".replace("](docs/", f"]({ROOT}/docs/"))
    found = list(names.KINDS[kind](names.page_of(page)))
    assert [each.replace(f"{ROOT}/", "") for _, each in found] == [name]
    assert found[0][0] == 3


def test_the_index_leads_to_every_page() -> None:
    """docs/README.md has a link to each document, or to the folder or index in which it is."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)", index.read_text("utf-8"))}
    linked |= {path.parent for path in linked if path.name == "README.md" and path.parent != ROOT}
    pages = [path for path in PAGES if path.is_relative_to(ROOT / "docs") and path != index]
    assert [str(path.relative_to(ROOT)) for path in pages if not {path, path.parent} & linked] == []


def test_what_is_there_is_not_found(tmp_path: Path) -> None:
    """Headings that occur twice, links in code, placeholders and globs are no wrong names."""
    page = tmp_path / "page.md"
    text = "# A `b`\n## Twice\n## Twice\n[1](#a-b) [2](#twice-1) `services/NAME/recognizer.py` `deploy/eks/*.yaml`\n"
    page.write_text(f"{text}```sh\nexport A=1\necho $A $HOME\n```\n")
    assert [name for kind in names.KINDS.values() for name in kind(names.page_of(page))] == []
