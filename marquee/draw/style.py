"""Colors of faces and labels, and positions of names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from marquee.enums import Findings, VerdictState

HALO = "#000000"
"""Rim of boxes and lines: on a light ground it shows them, on a dark one their color does."""
LABEL = "LABEL"
"""Beside the states of verdicts in --colors."""
DEFAULT_COLORS: Mapping[str, str] = {
    VerdictState.IDENTIFIED: "#237b34",
    VerdictState.UNKNOWN: "#f08c00",
    VerdictState.DISAGREE: "#c92a2a",
}
_LABEL_COLORS = ("#1864ab", "#6741d9", "#0b7285", "#862e9c")
"""In turn, of labels. None is like a face's, and white letters are legible on all."""


class LabelPosition(StrEnum):
    """Position of a name relative to its box."""

    TOP = "top"
    BOTTOM = "bottom"
    INSIDE = "inside"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Style:
    """How and what to draw."""

    colors: Mapping[str, str] = field(default_factory=dict)
    """#rrggbb by state of the verdict, or LABEL, instead of the defaults."""
    position: LabelPosition = LabelPosition.TOP
    boxes: Findings | None = None
    """None: faces, or labels if there is no face."""

    def color(self, state: VerdictState) -> str:
        """Return the color of a face in this state, #rrggbb."""
        colors = {**DEFAULT_COLORS, **self.colors}
        return colors.get(state, colors[VerdictState.UNKNOWN])

    def label_color(self, index: int) -> str:
        """Return the color of a picture's label of that index, #rrggbb."""
        return self.colors.get(LABEL, _LABEL_COLORS[index % len(_LABEL_COLORS)])


def rim_of(font_size: int) -> int:
    """Return the width of the rim of letters without a ground."""
    return max(1, font_size // 8)


def dash_of(line_width: int) -> tuple[int, int]:
    """Return the lengths of a dash and of a gap in the lines of labels."""
    return 5 * line_width, 3 * line_width


def parse_colors(text: str) -> dict[str, str]:
    """Parse "identified=#2a2,unknown=orange" to state → #rrggbb. Raises ValueError."""
    return dict(_parse_color(part.strip()) for part in text.split(","))


def text_color(background: str) -> str:
    """Return black or white, whichever has more contrast to the color, by WCAG 2.2."""
    red, green, blue = (_linear(int(background[start : start + 2], 16) / 255) for start in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB's curve


def _parse_color(part: str) -> tuple[str, str]:
    state, _, color = part.partition("=")
    states = [*DEFAULT_COLORS, LABEL]
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
