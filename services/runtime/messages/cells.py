"""Text in cells of CSV files, which people open with spreadsheets. Pure."""

import re

from services.runtime.status import CONTROL_IN_NAME

_FORMULA = re.compile(r"(^|;)(?=[\t\r\n]|\s*[=+\-@|%＝＋－＠])")  # noqa: RUF001 - spreadsheets read these, too
"""Where text begins that a spreadsheet may compute, some after leaving out blanks. For some a semicolon ends a cell."""


def cell(value: object) -> object:
    """Return numbers as they are, and text that is in one line and no formula; see OWASP's page on CSV injection."""
    return _FORMULA.sub(r"\1'", CONTROL_IN_NAME.sub(" ", value).strip()) if isinstance(value, str) else value
