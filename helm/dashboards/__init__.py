"""Grafana's dashboards, as code: `make docs` writes them to helm/marquee/dashboards/."""
