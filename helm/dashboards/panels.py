"""The panels that all dashboards share: 24 columns wide, 8 rows high, one Prometheus."""

from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, StackingMode, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Queries = dict[str, str]
"""Legend → PromQL."""

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HERE = 'job="marquee", namespace="$namespace"'
"""Selects what the chart's PodMonitor scrapes of one installation."""
RATE = "[$__rate_interval]"
_THIRD, _HEIGHT, _TILE = 8, 8, 4


def board(name: str, title: str, description: str) -> Dashboard:
    """Return an empty dashboard, linked to the others, with a variable for the installation."""
    return (
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
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(choice("namespace", "Namespace", 'label_values(up{job="marquee"}, namespace)'))
    )


def choice(name: str, label: str, query: str) -> QueryVariable:
    """Return a variable whose values come from Prometheus."""
    variable = QueryVariable(name).label(label).datasource(SOURCE).query(query)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def lines(title: str, description: str, unit: str, queries: Queries, span: int = _THIRD) -> timeseries.Panel:
    """Return a panel of lines over time."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    panel = panel.min(0).span(span).height(_HEIGHT).fill_opacity(5).legend(_legend()).tooltip(_tooltip())
    for place, (legend, query) in enumerate(queries.items()):
        panel = panel.with_target(_query(query).legend_format(legend).ref_id(ascii_uppercase[place]))
    return panel


def stacked(title: str, description: str, unit: str, queries: Queries, span: int = _THIRD) -> timeseries.Panel:
    """Return a panel of stacked areas over time."""
    panel = lines(title, description, unit, queries, span)
    return panel.fill_opacity(40).stacking(common.StackingConfig().mode(StackingMode.NORMAL))


def number(title: str, description: str, unit: str, query: str) -> stat.Panel:
    """Return a panel of the latest value over its history."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    latest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return panel.span(_TILE).height(_TILE).reduce_options(latest).with_target(_query(query).legend_format(title))


def heat(title: str, description: str, buckets: str, span: int = _THIRD, unit: str = "s") -> heatmap.Panel:
    """Return a heatmap of a distribution over time; `buckets` is an increase by (le)."""
    panel = heatmap.Panel().title(title).description(description).datasource(SOURCE).span(span).height(_HEIGHT)
    panel = panel.calculate(calculate=False).y_axis(heatmap.YAxisConfig().unit(unit))
    panel = panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    return panel.with_target(_query(buckets).format(PromQueryFormat.HEATMAP).legend_format("{{le}}"))


def listing(title: str, description: str, query: str, columns: list[str], span: int = _THIRD) -> table.Panel:
    """Return a table of the current series: these labels, then the value."""
    order = {"indexByName": {name: place for place, name in enumerate([*columns, "Value"])}}
    hidden = {"excludeByName": {"Time": True}}
    columns_only = DataTransformerConfig(id_val="organize", options=hidden | order)
    panel = table.Panel().title(title).description(description).datasource(SOURCE).span(span).height(_HEIGHT)
    return panel.with_transformation(columns_only).with_target(_query(query).format(PromQueryFormat.TABLE).instant())


def quantiles(histogram: str, selector: str, by: str = "") -> Queries:
    """Return queries for the 50th, 95th and 99th percentile of a histogram, by the label `by` if given."""
    labels = f"le, {by}" if by else "le"
    legend = f"{{{{{by}}}}} " if by else ""
    rate = f"sum by ({labels}) (rate({histogram}_bucket{{{selector}}}{RATE}))"
    return {f"{legend}p{share}": f"histogram_quantile(0.{share}, {rate})" for share in (50, 95, 99)}


def _query(expression: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).datasource(SOURCE).ref_id("A")


def _siblings() -> DashboardLink:
    links = DashboardLink("Marquee").type(DashboardLinkType.DASHBOARDS).tags(["marquee"])
    return links.as_dropdown(as_dropdown=True).keep_time(keep_time=True).include_vars(include_vars=True)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return legend.show_legend(show_legend=True)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
