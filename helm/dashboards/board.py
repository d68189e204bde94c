"""A dashboard before it has panels: its variables, its links, and what is marked on every panel."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

from helm.dashboards.alerts import FIRING, RUNBOOKS
from helm.dashboards.panels import HERE, SOURCE


def board(name: str, title: str, description: str) -> Dashboard:
    """Return an empty dashboard, with variables, links to the others and marks of changes."""
    page = (
        Dashboard(title)
        .uid(f"marquee-{name}")
        .description(description)
        .tags(["marquee"])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(_siblings())
        .link(_runbooks())
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(choice("namespace", "Namespace", 'label_values(up{job="marquee"}, namespace)'))
        .with_variable(choice("release", "Release", 'label_values(up{job="marquee", namespace="$namespace"}, release)'))
    )
    for mark in _MARKS:
        page = page.annotation(mark)
    return page


def choice(name: str, label: str, query: str) -> QueryVariable:
    """Return a variable whose values come from Prometheus."""
    variable = QueryVariable(name).label(label).datasource(SOURCE).query(query)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


@dataclass(frozen=True)
class _Mark:
    """Something that happens at a time, drawn on all panels."""

    name: str
    colour: str
    query: str
    title: str
    text: str
    is_time: bool = False
    """Whether the query's values are times in milliseconds; otherwise it happens while there is a value."""

    def build(self) -> AnnotationQuery:
        """Return the annotation."""
        return _PrometheusAnnotation(self)


class _PrometheusAnnotation(AnnotationQuery):
    """An annotation with the fields that the schema leaves to the data source."""

    def __init__(self, mark: _Mark) -> None:
        super().__init__(mark.name, SOURCE, icon_color=mark.colour, expr=mark.query)
        self._mark = mark

    def to_json(self) -> dict[str, object]:
        texts = {"titleFormat": self._mark.title, "textFormat": self._mark.text}
        return super().to_json() | texts | {"step": "30s", "useValueForTime": self._mark.is_time}


def _new(metric: str, labels: str) -> str:
    """Return a query for the series that there were not five minutes ago."""
    series = f"count by ({labels}) ({metric}{{{HERE}}}"
    return f"{series}) unless {series} offset 5m)"


_MARKS = (
    _Mark(
        "Deployments",
        "blue",
        _new("marquee_build_info", "component, version, revision"),
        "{{component}} {{version}}",
        "Another version than 5 minutes before; its commit is {{revision}}.",
    ),
    _Mark(
        "Models",
        "purple",
        _new("marquee_model_info", "component, model, version"),
        "{{component}}: {{model}} {{version}}",
        "Another model than 5 minutes before.",
    ),
    _Mark(
        "Starts",
        "text",
        f"1000 * max by (component, pod) (process_start_time_seconds{{{HERE}}})",
        "{{component}} started",
        "{{pod}}: new, or restarted.",
        is_time=True,
    ),
    _Mark("Alerts", "red", FIRING, "{{alertname}}", "{{severity}} {{component}}{{recognizer}}"),
)


def _siblings() -> DashboardLink:
    links = DashboardLink("Marquee").type(DashboardLinkType.DASHBOARDS).tags(["marquee"])
    return links.as_dropdown(as_dropdown=False).keep_time(keep_time=True).include_vars(include_vars=True)


def _runbooks() -> DashboardLink:
    link = DashboardLink("Runbooks").type(DashboardLinkType.LINK).url(RUNBOOKS).icon("doc")
    return link.tooltip("What to do about each alert").target_blank(target_blank=True)
