"""Panels as all dashboards draw them: 24 columns wide, 8 rows high, every query of one Prometheus."""

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
    """An empty dashboard that is linked with the others and asks which installation to show."""
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
    """A variable whose values Prometheus knows."""
    variable = QueryVariable(name).label(label).datasource(SOURCE).query(query)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def lines(title: str, description: str, unit: str, queries: Queries, span: int = _THIRD) -> timeseries.Panel:
    """Lines over time."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    panel = panel.min(0).span(span).height(_HEIGHT).fill_opacity(5).legend(_legend()).tooltip(_tooltip())
    for place, (legend, query) in enumerate(queries.items()):
        panel = panel.with_target(_query(query).legend_format(legend).ref_id(ascii_uppercase[place]))
    return panel


def stacked(title: str, description: str, unit: str, queries: Queries, span: int = _THIRD) -> timeseries.Panel:
    """Areas over time that add up."""
    panel = lines(title, description, unit, queries, span)
    return panel.fill_opacity(40).stacking(common.StackingConfig().mode(StackingMode.NORMAL))


def number(title: str, description: str, unit: str, query: str) -> stat.Panel:
    """The last value, with its course behind it."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    latest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return panel.span(_TILE).height(_TILE).reduce_options(latest).with_target(_query(query).legend_format(title))


def heat(title: str, description: str, buckets: str, span: int = _THIRD, unit: str = "s") -> heatmap.Panel:
    """How values spread, over time; `buckets` is an increase by (le)."""
    panel = heatmap.Panel().title(title).description(description).datasource(SOURCE).span(span).height(_HEIGHT)
    panel = panel.calculate(calculate=False).y_axis(heatmap.YAxisConfig().unit(unit))
    panel = panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    return panel.with_target(_query(buckets).format(PromQueryFormat.HEATMAP).legend_format("{{le}}"))


def listing(title: str, description: str, query: str, columns: list[str], span: int = _THIRD) -> table.Panel:
    """Series of this moment as rows: these labels, then the value."""
    shown = {"indexByName": {name: place for place, name in enumerate([*columns, "Value"])}}
    hidden = {"excludeByName": {"Time": True}}
    order = DataTransformerConfig(id_val="organize", options=hidden | shown)
    panel = table.Panel().title(title).description(description).datasource(SOURCE).span(span).height(_HEIGHT)
    return panel.with_transformation(order).with_target(_query(query).format(PromQueryFormat.TABLE).instant())


def quantiles(histogram: str, selector: str, by: str = "") -> Queries:
    """The 50th, 95th and 99th percentile of a histogram, a line each for every value of the label `by`."""
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
