"""The kinds of panels: 24 columns wide, 8 rows high, one Prometheus."""

from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    HeatmapCellLayout,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Queries = dict[str, str]
"""Legend → PromQL."""
Colours = dict[str, str]
"""Regular expression of a legend → colour."""

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HERE = 'job="marquee", namespace="$namespace", release="$release"'
"""Selects what the chart's PodMonitor scrapes of one release."""
RATE = "[$__rate_interval]"
OUTCOMES: Colours = {
    "ok": "green",
    "partial": "yellow",
    "skipped": "blue",
    "error": "red",
    "timeout": "orange",
    "shed": "purple",
}
_CODES: Colours = {
    "OK": "green",
    "ResourceExhausted": "orange",
    "Unknown|DeadlineExceeded|Internal|Unavailable|DataLoss": "red",
    "InvalidArgument|NotFound|Unauthenticated|PermissionDenied|Canceled|FailedPrecondition": "yellow",
}
"""gRPC's codes: red are those of our faults, yellow those of callers', orange may be either."""
FAULTS: Colours = {"caller": "yellow", "planned": "blue", "server": "red"}
_LIMIT: dict[str, object] = {
    "color": {"mode": "fixed", "fixedColor": "red"},
    "custom.lineStyle": {"fill": "dash", "dash": [8, 8]},
    "custom.fillOpacity": 0,
    "custom.stacking": {"mode": "none"},
}
_LEAST = {"percentunit": 0.1, "reqps": 0.1, "none": 1.0}
"""Unit → what the axis reaches at least: Grafana draws it up to 100, or 10,000 %, where all values are 0."""
_HISTOGRAM = "_seconds_bucket{"
_THIRD, _HEIGHT = 8, 8
_Panel = TypeVar("_Panel", timeseries.Panel, stat.Panel, table.Panel)


def lines(title: str, description: str, unit: str, queries: Queries, span: int = _THIRD) -> timeseries.Panel:
    """Return a panel of lines over time."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    panel = panel.min(0).span(span).height(_HEIGHT).fill_opacity(5).legend(legend()).tooltip(_tooltip())
    if unit in _LEAST:
        panel = panel.axis_soft_max(_LEAST[unit])
    for place, (name, query) in enumerate(queries.items()):
        panel = panel.with_target(target(query).legend_format(name).ref_id(ascii_uppercase[place]))
    return panel


def stacked(title: str, description: str, unit: str, queries: Queries, span: int = _THIRD) -> timeseries.Panel:
    """Return a panel of stacked areas over time."""
    panel = lines(title, description, unit, queries, span)
    return panel.fill_opacity(40).stacking(common.StackingConfig().mode(StackingMode.NORMAL))


def calls_by_code(description: str, selector: str, span: int = _THIRD) -> timeseries.Panel:
    """Return a panel of the gRPC calls that ended, by method and in the colours of their codes."""
    ended = f"sum by (grpc_method, grpc_code) (rate(grpc_server_handled_total{{{selector}}}{RATE}))"
    panel = stacked("Calls", description, "reqps", {"{{grpc_method}} {{grpc_code}}": ended}, span)
    return coloured(panel, _CODES)


def limited(panel: timeseries.Panel, limits: Queries) -> timeseries.Panel:
    """Return the panel with dashed red lines beside its own: what they must stay below."""
    for name, query in limits.items():
        place = ascii_uppercase[len(panel.build().targets or [])]
        panel = panel.with_target(target(query).legend_format(name).ref_id(place))
        panel = panel.override_by_name(name, properties(_LIMIT))
    return panel


def coloured(panel: timeseries.Panel, colours: Colours) -> timeseries.Panel:
    """Return the panel with series in shades of the colour whose expression their legend matches."""
    for expression, colour in colours.items():
        shades = properties({"color": {"mode": "shades", "fixedColor": colour}})
        panel = panel.override_by_regexp(f"/{expression}/", shades)
    return panel


def stepped(panel: _Panel, colours: dict[float, str], start: str = "green") -> _Panel:
    """Return the panel with values in the colour of the highest step that they reach; over time a step is a line."""
    steps = [Threshold(value=None, color=start), *(Threshold(value=at, color=name) for at, name in colours.items())]
    panel = panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    if isinstance(panel, timeseries.Panel):
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
    return panel


def heat(title: str, description: str, buckets: str, span: int = _THIRD, unit: str = "s") -> heatmap.Panel:
    """Return a heatmap of a distribution over time; `buckets` is an increase by (le)."""
    panel = heatmap.Panel().title(title).description(description).datasource(SOURCE).span(span).height(_HEIGHT)
    panel = panel.calculate(calculate=False).y_axis(heatmap.YAxisConfig().unit(unit)).cell_gap(1)
    panel = panel.rows_frame(heatmap.RowsHeatmapOptions().layout(HeatmapCellLayout.LE).value("Calls"))
    panel = panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    panel = panel.cell_values(heatmap.CellValues().unit("short").decimals(0)).show_legend()
    return panel.with_target(target(buckets).format(PromQueryFormat.HEATMAP).legend_format("{{le}}"))


def listing(title: str, description: str, queries: Queries, columns: list[str], span: int = _THIRD) -> table.Panel:
    """Return a table of one query's current series: these labels, then the value under the query's legend."""
    ((heading, query),) = queries.items()
    order = {name: place for place, name in enumerate([*columns, "Value"])}
    names = {name: name.capitalize() for name in columns} | {"Value": heading}
    arrange = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
    panel = table.Panel().title(title).description(description).datasource(SOURCE).span(span).height(_HEIGHT)
    panel = panel.show_header(show_header=True).with_transformation(DataTransformerConfig("organize", options=arrange))
    return panel.with_target(target(query).format(PromQueryFormat.TABLE).instant())


def linked(panel: _Panel, board: str, extra: str = "") -> _Panel:
    """Return the panel with a link from its values to another dashboard at the same time."""
    url = f"/d/marquee-{board}?${{__all_variables}}&${{__url_time_range}}{extra}"
    return panel.data_links([DashboardLink(f"Open {board}").type(DashboardLinkType.LINK).url(url)])


def quantile(share: int, histogram: str, selector: str, by: str = "") -> str:
    """Return a query for a percentile of a histogram, by the label `by` if given."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile(0.{share}, sum by ({labels}) (rate({histogram}_bucket{{{selector}}}{RATE})))"


def quantiles(histogram: str, selector: str) -> Queries:
    """Return queries for the 50th, 95th and 99th percentile of a histogram."""
    return {f"p{share}": quantile(share, histogram, selector) for share in (50, 95, 99)}


def properties(values: dict[str, object]) -> list[DynamicConfigValue]:
    """Return the properties of an override."""
    return [DynamicConfigValue(id_val=name, value=value) for name, value in values.items()]


def target(expression: str) -> prometheus.Dataquery:
    """Return a query; that of a histogram leads to traces, too, where Prometheus keeps exemplars."""
    query = prometheus.Dataquery().expr(expression).datasource(SOURCE).ref_id("A")
    return query.exemplar(exemplar=True) if _HISTOGRAM in expression else query


def legend() -> common.VizLegendOptions:
    """Return the legend of panels over time: below them, the largest last value first."""
    options = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return options.show_legend(show_legend=True)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
