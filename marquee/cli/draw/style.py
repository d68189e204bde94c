"""How faces are drawn: colors and the place of names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import typer

from marquee.enums import VerdictState

DEFAULT_COLORS = {
    VerdictState.IDENTIFIED: "#2b8a3e",
    VerdictState.UNKNOWN: "#f08c00",
    VerdictState.DISAGREE: "#c92a2a",
}


class LabelPosition(StrEnum):
    """Where a name stands, seen from its box."""

    TOP = "top"
    BOTTOM = "bottom"
    INSIDE = "inside"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Style:
    """How faces are drawn."""

    colors: Mapping[VerdictState, str]
    """#rrggbb by state."""
    position: LabelPosition

    def color(self, state: VerdictState) -> str:
        """The color of a face in this state, #rrggbb."""
        return self.colors.get(state, DEFAULT_COLORS[VerdictState.UNKNOWN])


def style_of(colors: Mapping[str, str] | None, position: LabelPosition) -> Style:
    """The default style with other colors for the named states."""
    chosen = {VerdictState(state): color for state, color in (colors or {}).items()}
    return Style({**DEFAULT_COLORS, **chosen}, position)


def parse_colors(text: str) -> dict[str, str]:
    """State → #rrggbb from "identified=#2a2,unknown=orange". Raises BadParameter."""
    return dict(_pair(part.strip()) for part in text.split(","))


def text_color(background: str) -> str:
    """Black or white, whichever reads better on the color."""
    red, green, blue = (int(background[start : start + 2], 16) for start in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"  # noqa: PLR2004 - Rec. 601 luma


def _pair(part: str) -> tuple[str, str]:
    state, _, color = part.partition("=")
    states = [known.value for known in DEFAULT_COLORS]
    if state.strip().upper() not in states:
        raise typer.BadParameter(f"{part!r}: write STATE=COLOR, STATE one of {', '.join(states).lower()}.")
    return state.strip().upper(), _hex(color.strip())


def _hex(color: str) -> str:
    from PIL import ImageColor  # noqa: PLC0415 - --help need not wait for it

    try:
        red, green, blue, *_ = ImageColor.getrgb(color)
    except ValueError:
        raise typer.BadParameter(f"{color!r} is no color: write #rrggbb, #rgb or a CSS name.") from None
    return f"#{red:02x}{green:02x}{blue:02x}"
