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

    def panel(self, span: int = 4) -> stat.Panel:
        """Return the panel."""
        panel = stat.Panel().title(self.title).description(self.description).datasource(SOURCE).unit(self.unit)
        panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).text_mode(
            BigValueTextMode.VALUE
        )
        panel = panel.span(span).height(4).with_target(target(self.query).legend_format(self.title))
        if self.decimals is not None:
            panel = panel.decimals(self.decimals)
        return stepped(panel, self.steps, self.start).no_value(self.empty).links(runbooks(*self.alerts))
