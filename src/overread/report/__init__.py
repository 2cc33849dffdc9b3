"""The report: estimates, curves and pictures as one self-contained HTML page.

`write` and what it draws with are loaded when they are first used: `drawing_pool` starts processes before that.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overread.report.page import write

__all__ = ["write"]


def __getattr__(name: str) -> Any:
    if name == "write":
        from overread.report.page import write

        return write
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
