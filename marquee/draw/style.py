"""Colors of faces, and positions of names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from marquee.enums import VerdictState

DEFAULT_COLORS = {
    VerdictState.IDENTIFIED: "#2b8a3e",
    VerdictState.UNKNOWN: "#f08c00",
    VerdictState.DISAGREE: "#c92a2a",
}


class LabelPosition(StrEnum):
    """Position of a name relative to its box."""

    TOP = "top"
    BOTTOM = "bottom"
    INSIDE = "inside"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Style:
    """How to draw faces."""

    colors: Mapping[VerdictState, str]
    """#rrggbb by state."""
    position: LabelPosition

    def color(self, state: VerdictState) -> str:
        """Return the color of a face in this state, #rrggbb."""
        return self.colors.get(state, DEFAULT_COLORS[VerdictState.UNKNOWN])


def style_of(colors: Mapping[str, str] | None, position: LabelPosition) -> Style:
    """Return the default style with other colors for some states."""
    overrides = {VerdictState(state): color for state, color in (colors or {}).items()}
    return Style({**DEFAULT_COLORS, **overrides}, position)


def parse_colors(text: str) -> dict[str, str]:
    """Parse "identified=#2a2,unknown=orange" to state → #rrggbb. Raises ValueError."""
    return dict(_parse_color(part.strip()) for part in text.split(","))


def text_color(background: str) -> str:
    """Return black or white, whichever is more legible on the color."""
    red, green, blue = (int(background[start : start + 2], 16) for start in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"  # noqa: PLR2004 - Rec. 601 luma


def _parse_color(part: str) -> tuple[str, str]:
    state, _, color = part.partition("=")
    states = [state.value for state in DEFAULT_COLORS]
    if state.strip().upper() not in states:
        raise ValueError(f"{part!r}: use STATE=COLOR, with STATE one of {', '.join(states).lower()}.")
    return state.strip().upper(), _hex(color.strip())


def _hex(color: str) -> str:
    from PIL import ImageColor  # noqa: PLC0415 - --help does not wait for it

    try:
        red, green, blue, *_ = ImageColor.getrgb(color)
    except ValueError:
        raise ValueError(f"{color!r} is not a color: use #rrggbb, #rgb or a CSS name.") from None
    return f"#{red:02x}{green:02x}{blue:02x}"
