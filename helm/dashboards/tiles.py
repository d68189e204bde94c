"""Single numbers, in colours that say whether they are good."""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, stat
from grafana_foundation_sdk.models.common import BigValueTextMode

from helm.dashboards.alerts import runbooks
from helm.dashboards.panels import SOURCE, stepped, target


@dataclass(frozen=True)
class Tile:
    """A panel of the latest value over its history."""

    title: str
    description: str
    unit: str
    query: str
    empty: str
    """What it means that there is no value."""
    alerts: tuple[str, ...] = ()
    """Alerts that watch the value."""
    steps: dict[float, str] = field(default_factory=dict)
    """Value → colour from there on."""
    start: str = "text"
    """Colour below the first step."""
    decimals: int | None = None

    def panel(self) -> stat.Panel:
        """Return the panel."""
        panel = stat.Panel().title(self.title).description(self.description).datasource(SOURCE).unit(self.unit)
        panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).text_mode(
            BigValueTextMode.VALUE
        )
        panel = panel.span(4).height(4).with_target(target(self.query).legend_format(self.title))
        if self.decimals is not None:
            panel = panel.decimals(self.decimals)
        return stepped(panel, self.steps, self.start).no_value(self.empty).links(runbooks(*self.alerts))


def pods(selector: str, alerts: tuple[str, ...]) -> Tile:
    """Return a tile of how many of the selected pods Prometheus reaches."""
    query = f'count(up{{{selector}, endpoint="metrics"}} == 1)'
    return Tile("Pods", "Pods that Prometheus reaches.", "none", query, "None", alerts, {1: "text"}, "red")


def restarts(selector: str) -> Tile:
    """Return a tile of how often containers of the selected pods restarted."""
    return Tile(
        "Restarts",
        "Containers that restarted within the last hour, in pods that stayed: crashes, or memory ran out.",
        "none",
        f"sum(changes(process_start_time_seconds{{{selector}}}[1h]))",
        "No pods",
        (),
        {1: "orange", 5: "red"},
        "green",
    )
