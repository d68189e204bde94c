"""What dashboards say about alerts: which fire, and the runbooks of those that watch a panel."""

from grafana_foundation_sdk.builders import statetimeline
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, ValueMap, ValueMappingResult

from helm.dashboards.panels import SOURCE, legend, properties, target

RUNBOOKS = "docs/runbooks/"
"""Where runbooks are, for whoever writes the dashboards to replace."""
_OURS = 'alertname=~"Marquee.+", alertstate="firing"'
FIRING = (
    "max by (severity, alertname, component, recognizer) ("
    f'ALERTS{{namespace="$namespace", release=~"$release|", {_OURS}}}'
    f' or ALERTS{{exported_namespace="$namespace", {_OURS}}})'
)
"""Those on cert-manager's metrics have no release, and their namespace may be called after the exporter's."""
_SEVERITIES = {"critical": "red", "warning": "orange"}


def runbooks(*alerts: str) -> list[DashboardLink]:
    """Return links to the runbooks of alerts, which are named as their files are: `gateway-down`."""
    return [_link(alert) for alert in alerts]


def timeline(alerts: list[str]) -> statetimeline.Panel:
    """Return a panel of the alerts that fire, each in its severity's colour and with a link to its runbook."""
    query = target(FIRING).legend_format("{{severity}} {{alertname}} {{component}}{{recognizer}}")
    panel = statetimeline.Panel().title("Alerts").datasource(SOURCE).span(24).height(4)
    panel = panel.description("Alerts that fire, over time. Click on one for its runbook.").with_target(query)
    panel = panel.mappings([ValueMap({"1": ValueMappingResult(text="firing")})])
    panel = panel.show_value(VisibilityMode.NEVER).row_height(0.8).legend(legend().show_legend(show_legend=False))
    for severity, colour in _SEVERITIES.items():
        fixed = properties({"color": {"mode": "fixed", "fixedColor": colour}})
        panel = panel.override_by_regexp(f"/^{severity} /", fixed)
    for alert in alerts:
        url = {"title": f"Runbook of {name(alert)}", "url": f"{RUNBOOKS}{alert}.md", "targetBlank": True}
        panel = panel.override_by_regexp(f"/ {name(alert)} /", properties({"links": [url]}))
    return panel.no_value("No alert fires. Alerts are there with alerts.enabled.")


def name(alert: str) -> str:
    """Return the name that Prometheus knows an alert by."""
    return "Marquee" + "".join(word.capitalize() for word in alert.split("-"))


def _link(alert: str) -> DashboardLink:
    link = DashboardLink(f"Runbook of {name(alert)}").type(DashboardLinkType.LINK)
    return link.url(f"{RUNBOOKS}{alert}.md").target_blank(target_blank=True)
