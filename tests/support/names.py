"""The names in a page of Markdown that something of ours has to have: each kind is looked up where it is defined.

A kind is a function from a page to the names of that kind which do not exist, each with its line. Names are looked for
in code spans and blocks, and where their shape is unmistakable (MARQUEE_…, NAME_TAKEN) in prose, too.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from services.runtime.settings import PREFIX
from tests.support import sources
from tests.support.pages import Block, blocks, calls
from tests.support.processes import ROOT

Wrong = Iterator[tuple[int, str]]
_FENCED = re.compile(r"^ *(?:> *)?(`{3,}|~{3,}).*?^ *(?:> *)?\1 *$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(<?([^()\s>]+(?:\([^()]*\)[^()\s>]*)?)>?\)")
_HEADING = re.compile(r"^ {0,3}#{1,6} +(.*?) *#* *$", re.MULTILINE)
_SHELLS = ("sh", "bash", "console", "")


@dataclass(frozen=True)
class Page:
    """A page: its prose without blocks, the code in its lines, its blocks."""

    path: Path
    text: str

    @cached_property
    def prose(self) -> str:
        """The page without its blocks, whose lines are empty."""
        return _FENCED.sub(lambda match: "\n" * match[0].count("\n"), self.text)

    @property
    def spans(self) -> Iterator[tuple[int, str]]:
        """Code within lines: the line, and the code."""
        prose = self.prose
        for match in _SPAN.finditer(prose):
            if "\n\n" not in match[2]:
                yield _line(prose, match.start()), " ".join(match[2].split())

    @cached_property
    def blocks(self) -> list[Block]:
        """Fenced blocks."""
        return blocks(self.path)

    @property
    def shell(self) -> Iterator[tuple[int, str]]:
        """Shell: what blocks have one type, one line each, and code within lines."""
        for block in self.blocks:
            if block.language in _SHELLS:
                steps = [step.command for step in block.steps] or [block.text]
                yield from ((block.line, line) for step in steps for line in [re.sub(r" *\\\n *", " ", step)])
        yield from self.spans

    @cached_property
    def anchors(self) -> set[str]:
        """What links to the page may end with: GitHub's names of its headings, and HTML's."""
        names: dict[str, int] = {}
        for heading in _HEADING.findall(self.prose):
            name = _slug(heading)
            names[name] = names.get(name, -1) + 1
            if names[name]:
                names[f"{name}-{names[name]}"] = 0
        return set(names) | set(re.findall(r'(?:id|name)="([^"]+)"', self.text))


@cache
def page_of(path: Path) -> Page:
    """Read the page."""
    return Page(path, path.read_text("utf-8"))


def links(page: Page) -> Wrong:
    """Files and anchors that links lead to, in this repository."""
    prose = page.prose
    for match in _LINK.finditer(prose):
        target, _, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.path.parent / target).resolve() if target else page.path
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in page_of(path).anchors):
            yield _line(prose, match.start()), match[1]


def _bare(page: Page) -> str:
    """Return the prose without the code in its lines, and without where links lead."""
    return _LINK.sub("](", _SPAN.sub(lambda match: "\n" * match[0].count("\n"), page.prose))


def variables(page: Page) -> Wrong:
    """Environment variables of ours. One that ends with … stands for all that begin so."""
    known = sources.variables()
    for match in re.finditer(rf"\b{PREFIX}[A-Z0-9_]*(?:…|\*)?", page.text):
        name = match[0].rstrip("…*")
        if name not in known and not (name.endswith("_") and any(each.startswith(name) for each in known)):
            yield _line(page.text, match.start()), match[0]


def shell_variables(page: Page) -> Wrong:
    """Variables that shell blocks use: the page gives them a value, or says what they are; or every shell has them."""
    texts = [(block.line, block.text) for block in page.blocks if block.language in _SHELLS]
    known = (
        {name for _, text in texts for name in _assigned(text)} | _OF_EVERY_SHELL | _OF_CERTBOT | sources.variables()
    )
    known |= {text.removeprefix("$") for _, text in page.spans if text.startswith("$")}
    for line, text in texts:
        for name in re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", text):
            if name not in known:
                yield line, f"${name}"


def commands(page: Page) -> Wrong:
    """Subcommands of `marquee`, and of our modules."""
    for line, text in page.shell:
        for module, word in re.findall(r"python3? -m ([\w.]+) ([a-z]+)\b", text):
            known = sources.commands_of_module(module) if module.split(".")[0] in sources.PACKAGES else ()
            if known and word not in known:
                yield line, f"{module} {word}"
        yield from (
            (line, " ".join(_command(words)))
            for words in _marquee(text)
            if sources.options_of_command(words[1:]) is None
        )


def options(page: Page) -> Wrong:
    """Options of our programs; those of others are in a list."""
    for line, text in page.shell:
        for tokens, known in _calls(text):
            yield from ((line, f"{tokens[0]} … {each}") for each in _flags(tokens) if each not in known)
    ours = sources.every_option()
    for line, text in page.spans:
        names = _flags(text.split()) if text.startswith("-") or not _PROGRAM.match(text) else []
        yield from ((line, each) for each in names if each not in ours | _OPTIONS_OF_OTHERS)
    bare = _bare(page)
    for match in re.finditer(r"(?<![\w-])--[a-z][\w-]+", bare):
        if match[0] not in ours | _OPTIONS_OF_OTHERS:
            yield _line(bare, match.start()), match[0]


def targets(page: Page) -> Wrong:
    """Targets of the Makefile."""
    known = sources.targets()
    for line, text in page.shell:
        for words in re.findall(r"(?:^|[;&|\n] *|\$ )make((?: +[a-z][a-z-]*(?![\w=/.]))+)", text):
            yield from ((line, f"make {name}") for name in words.split() if name not in known)


def extras(page: Page) -> Wrong:
    """Extras of the package."""
    for match in re.finditer(r"(?:\bmarquee|(?<=['\" ])\.)\[([a-z][\w, -]*)\]", page.text):
        for name in re.split(r", *", match[1]):
            if name not in sources.extras():
                yield _line(page.text, match.start()), f"[{name}]"


def modules(page: Page) -> Wrong:
    """Modules that are run with `python -m` or named with their dots, and what is in them."""
    for line, text in page.shell:
        for name in re.findall(r"python3? -m ([\w.]+)", text):
            if name.split(".")[0] in sources.PACKAGES and not sources.is_module(name):
                yield line, f"python -m {name}"
    for line, text in page.spans:
        is_dotted = re.fullmatch(rf"({'|'.join(sources.PACKAGES)})(\.\w+)+", text) and text not in _ATTRIBUTES
        is_other = text.startswith("marquee.v1.") or _is_a_file(text, page)
        if is_dotted and not is_other and not sources.resolves(text):
            yield line, text
    for block in page.blocks:
        if block.language == "python":
            yield from ((block.line, name) for name in sources.unknown_in(block.text))


def files(page: Page) -> Wrong:
    """Files and folders of the repository: paths from its top, and names of files whose kind is ours."""
    for line, text in page.spans:
        name = text.split("=")[-1] if text.startswith("-") else text
        if _is_path(name) and not _exists(name):
            yield line, text
        if re.fullmatch(r"[\w-]+\.(py|proto|md|css|js|html|yaml|yml|json|toml|txt|sh|conf)", name) and not _is_a_file(
            name, page
        ):
            yield line, text
        if re.fullmatch(r"[a-z_]+/", name) and name.rstrip("/") not in sources.folders():
            yield line, text
    bare = _bare(page)
    for match in re.finditer(r"(?<![\w./:-])[\w.-]+/[\w./-]*\w\.[a-z]{2,5}\b", bare):
        if _is_path(match[0]) and not _exists(match[0]):
            yield _line(bare, match.start()), match[0]
    for block in page.blocks:
        if block.language in ("sh", "bash", "console"):
            words = [word for step in block.steps for word in re.findall(r"[\w./*@{},-]+", step.command)]
            yield from ((block.line, word) for word in words if _is_path(word) and not _exists(word))


def metrics(page: Page) -> Wrong:
    """Metrics that our servers export, their labels, and series that the chart's rules record."""
    for match in re.finditer(r"\b(?:marquee|grpc_server)[_:][a-z0-9_:]*[a-z0-9]\b", page.text):
        if page.text[match.end() : match.end() + 1] != "." and match[0] not in sources.metrics() | _CLAIMS:
            yield _line(page.text, match.start()), match[0]
    for match in re.finditer(r"\b((?:marquee|grpc_server)[a-z0-9_:]+)\{([^{}]+)\}", page.text):
        for label in re.findall(r"(\w+) *(?==~?|!|,|$)", re.sub(r'"[^"]*"', "", match[2])):
            if label not in sources.labels(match[1]):
                yield _line(page.text, match.start()), f"{match[1]}{{{label}}}"


def reasons(page: Page) -> Wrong:
    """Reasons of errors, codes, and values of the contract's enums."""
    prose = page.prose
    for match in re.finditer(r"(?<![\w$%{./-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w…*])", prose):
        known = sources.constants() | sources.variables() | _CONSTANTS_OF_OTHERS
        if match[0] not in known and not match[0].startswith(_OF_OTHERS):
            yield _line(prose, match.start()), match[0]
    for match in re.finditer(r'"reason": *"([^"]+)"', page.text):
        if match[1] not in sources.constants():
            yield _line(page.text, match.start()), match[1]
    for line, text in page.spans:
        if re.fullmatch(r"[A-Z]{4,}", text) and text not in sources.constants() | _CONSTANTS_OF_OTHERS | _PLACEHOLDERS:
            yield line, text


def values(page: Page) -> Wrong:
    """Values of the chart: dotted names, and what `--set` sets."""
    for line, text in page.shell:
        for call in calls(text, "helm") if "helm/marquee" in text or text.startswith("--set") else ():
            names = re.findall(r"--set(?:-string|-json)?[ =]'?([\w.]+)=", call if "helm/marquee" in call else "")
            yield from (
                (line, name) for name in names if name not in _ON_PURPOSE and not sources.is_value(name.split("."))
            )
    for line, text in page.spans:
        name = re.split(r"[=:] ?", text.removeprefix("--set "))[0]
        keys = name.split(".")
        is_dotted = re.fullmatch(r"[a-z]\w*(\.[A-Za-z]\w*)+", name) and keys[-1] not in _ENDINGS
        is_other = keys[0] in _TOPS_OF_OTHERS or name in sources.file_names() | _FILES_OF_OTHERS
        if is_dotted and not is_other and not sources.is_value(keys):
            yield line, text
    for block in page.blocks:
        for path in sources.values_of(block.text) if block.language == "yaml" else ():
            if not sources.is_value(path):
                yield block.line, ".".join(path)


def alerts(page: Page) -> Wrong:
    """Alerts of the chart."""
    for match in re.finditer(r"\bMarquee[A-Z]\w+", page.text):
        if match[0] not in sources.alerts():
            yield _line(page.text, match.start()), match[0]


def routes(page: Page) -> Wrong:
    """Paths of the page and of the HTTP API."""
    for match in re.finditer(r"(?<=[`\d])/v1/[a-z/]*[a-z]", page.text):
        if match[0] not in sources.routes():
            yield _line(page.text, match.start()), match[0]
    for line, text in page.spans:
        is_path = re.fullmatch(r"/[a-z][a-z./-]*", text) and not text.startswith("/v1/")
        if (
            is_path
            and text.split("/")[1] not in _FOLDERS_OF_SYSTEMS
            and text not in sources.routes() | _PATHS_OF_OTHERS
        ):
            yield line, text


def methods(page: Page) -> Wrong:
    """Methods of the contract with their service, wherever a page calls them."""
    for match in re.finditer(r"\bmarquee\.v1\.(\w+)(?:/(\w+))?", page.text):
        if not sources.is_in_contract(match[1], match[2]):
            yield _line(page.text, match.start()), match[0]


def requests(page: Page) -> Wrong:
    """Fields of the messages that grpcurl sends."""
    for line, text in page.shell:
        for message, method in re.findall(r"grpcurl [^|]*?-d '([^']*)'[^|]*?marquee\.v1\.(\w+/\w+)", text):
            yield from ((line, name) for name in sources.unknown_fields(method, message))


def images(page: Page) -> Wrong:
    """Names of images, services, deployments, policies and the like that begin with marquee."""
    for match in re.finditer(r"(?<![\w.$-])marquee-[a-z][a-z-]*[a-z]\b(?!\.[a-z])", page.text):
        if match[0] not in sources.dashed() and not match[0].endswith(_MADE_BY_CHART):
            yield _line(page.text, match.start()), match[0]


def words(page: Page) -> Wrong:
    """Anything else in code that looks like a program's word: somewhere in the repository it has to be used."""
    own = set(re.findall(r"[A-Za-z_]\w*", "\n".join(block.text for block in page.blocks)))
    for line, text in page.spans:
        for word in re.findall(r"(?<![\w%$\\])[A-Za-z]\w*", text):
            is_of_a_program = "_" in word.strip("_") or re.search(r"[a-z][A-Z]", word)
            forms = {word, word.rstrip("_")}  # such as `MARQUEE_WEB_GATEWAY_…`
            if is_of_a_program and not any(forms & known for known in (sources.words(), own, _WORDS_OF_OTHERS)):
                yield line, word


_OF_EVERY_SHELL = {"HOME", "PATH", "PWD", "USER", "SHELL", "KUBECONFIG", "TMPDIR"}
_OF_CERTBOT = {"RENEWED_LINEAGE"}
_OPTIONS_OF_OTHERS = {
    *("--atomic", "--dry-run", "--force-conflicts", "--reset-then-reuse-values", "--reuse-values"),  # helm's
    *("--rollback-on-failure", "--set", "--wait"),  # helm's, too
    *("--cli-binary-format", "--create-bucket-configuration"),  # AWS's
    *("-cacert", "--standalone", "--enable-ssl-passthrough", "--path"),  # of grpcurl, certbot, ingress-nginx, buf
    "--enable-feature",  # of Prometheus
}
_OF_OTHERS = ("AWS_", "OTEL_", "XDG_")
"""How variables of boto3, of OpenTelemetry and of the XDG base directories begin."""
_CONSTANTS_OF_OTHERS = {
    *("AUTO", "DEFAULT", "FAILED_ARN"),  # Rekognition's, and an ARN to put in
    *("TF_FORCE_GPU_ALLOW_GROWTH", "WARMUP_BATCHES"),  # TensorFlow's
    *("PEER_DID_NOT_RETURN_A_CERTIFICATE", "NOT_SERVING"),  # of BoringSSL and of gRPC's health
    "ORT_DISABLE_TELEMETRY",  # onnxruntime's
    "PATIENCE",  # of our tests
}
_PLACEHOLDERS = {"BUCKET", "FILE", "HOST", "LABEL", "LIST", "NAME", "NAMESPACE", "PATH", "PEOPLE", "PREFIX", "TABLE"}
_FILES_OF_OTHERS = {
    *("session_bundle_config.proto", "monitoring_config.proto"),  # TensorFlow Serving's
    *("imagenet_class_index.json", "metadata.json", "config.json"),  # of models of others
    *("SHA256.json", "people.html"),  # named after what they belong to
}
_WORDS_OF_OTHERS = {
    *("InvokeFunction", "LocationConstraint", "FAILED_ARN"),  # AWS's
    *("ImageDataGenerator", "flow_from_directory", "image_dataset_from_directory"),  # Keras's
    *("podMonitorSelectorNilUsesHelmValues", "ruleSelectorNilUsesHelmValues"),  # kube-prometheus-stack's
    *("LabelMatchers", "GroupBy", "subPath"),  # of the Prometheus adapter and of Kubernetes
    *("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "swapRB"),  # of OpenTelemetry and of OpenCV
    "face_recognition_sface_2021dec",  # of the OpenCV Zoo
}
_DOTTED = tuple(f"{package}." for package in sources.PACKAGES)
_PROGRAM = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:marquee|python3?|[a-z]+ctl|aws|buf|certbot|docker|find|git|go|grpcurl|helm"
    r"|npm|openssl|pip|sed|sha256sum) "
)
"""How a call of a program begins: options of ours are looked up with the call, those of others nowhere."""
_FOLDERS_OF_SYSTEMS = {"dev", "etc", "home", "opt", "proc", "root", "run", "srv", "tmp", "usr", "var"}
_PATHS_OF_OTHERS = {"/models", "/config", "/monitoring/prometheus/metrics"}
"""TensorFlow Serving's."""
_ENDINGS = {
    "cc",
    "crt",
    "csv",
    "html",
    "jpg",
    "json",
    "key",
    "keras",
    "md",
    "onnx",
    "pem",
    "png",
    "py",
    "skops",
    "txt",
    "yaml",
}
"""Of files whose names look like a value's."""
_TOPS_OF_OTHERS = {
    *sources.PACKAGES,
    *("client", "error", "google", "grpc", "http", "kubernetes", "model", "realm_access", "rpc"),
    *("picture", "place", "people", "person", "category", "notification"),
}
"""How dotted names begin that are no value's: of packages, traces, hosts, claims, and the library's events."""
_WRITTEN = ("models/mine", "models/keras/2", "models/keras/celebrity/2", "models/svm/people")
"""What the commands of pages write."""
_ON_PURPOSE = {"recognizers.svm.gateway.timeot"}
"""What a page names because it does not exist."""
_MADE_BY_CHART = ("-grpc-tls",)
"""How names end that templates put together."""
_CLAIMS = {"marquee_collections"}
"""Of tokens; see docs/security.md."""
_ATTRIBUTES = {"marquee.recognizer"}
"""Of traces; see docs/monitoring.md."""


def _calls(shell: str) -> Iterator[tuple[list[str], set[str]]]:
    """Yield each call of a program of ours, and the options that it takes."""
    yield from ((words, sources.options_of_command(words[1:]) or {*words}) for words in _marquee(shell))
    for module, rest in re.findall(r"python3? -m ([\w.]+)([^\n|;&#)]*)", shell):
        if module.split(".")[0] in sources.PACKAGES:
            yield [module, *_split(rest)], sources.options_of_module(module) if sources.is_module(module) else set()


def _marquee(shell: str) -> Iterator[list[str]]:
    for path in ("", ".venv/bin/"):
        for call in calls(re.sub(r"^\$ ", "", shell, flags=re.MULTILINE), f"{path}marquee"):
            yield ["marquee", *_split(call)[1:]]


def _command(words: list[str]) -> list[str]:
    """Return `marquee` and the subcommands before the first that it does not know, with that one."""
    for count in range(2, len(words)):
        if sources.options_of_command(words[1:count]) is None:
            return words[:count]
    return words


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that ends in another line
        return text.split()


def _flags(tokens: list[str]) -> list[str]:
    return [each.partition("=")[0] for each in tokens if re.match(r"--?[A-Za-z]", each)]


def _assigned(text: str) -> Iterator[str]:
    yield from re.findall(r"(?:^|[\s;(])([A-Za-z_]\w*)=", text)
    for names in re.findall(r"\b(?:read -r|for) ((?:[A-Za-z_]\w* ?)+)", text):
        yield from names.split()


def _is_path(text: str) -> bool:
    first, slash, _ = text.partition("/")
    return bool(slash) and first in sources.tops() and "://" not in text and " " not in text


def _exists(text: str) -> bool:
    pattern = re.sub(r"\b[A-Z]+\b|\{[^}]*\}", "*", text.rstrip("/."))
    return text.startswith(_WRITTEN) or (ROOT / text).exists() or next(ROOT.glob(pattern), None) is not None


def _is_a_file(name: str, page: Page) -> bool:
    return (
        name in sources.file_names() | _FILES_OF_OTHERS
        or name in page.path.name
        or any(Path(name).stem in block.text for block in page.blocks if not name.startswith(_DOTTED))
    )


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


KINDS: Mapping[str, Callable[[Page], Wrong]] = {
    kind.__name__: kind
    for kind in (
        *(links, files, variables, shell_variables, commands, options, targets, extras, modules),
        *(metrics, alerts, reasons, values, routes, methods, requests, images, words),
    )
}
