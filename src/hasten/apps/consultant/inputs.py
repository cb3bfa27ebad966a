"""What is to be analysed, by which frameworks, and inputs to try.

Owns what is valid. Which companies there are, ``sources`` knows.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hasten.apps.consultant.sources import known

FrameworkName = Literal["porter", "swot", "pestel", "blue_ocean", "value_chain"]

FRAMEWORKS: tuple[FrameworkName, ...] = get_args(FrameworkName)


def _in_order(names: tuple[FrameworkName, ...]) -> tuple[FrameworkName, ...]:
    """Return the names once each and in our order: the order asked in changes nothing."""
    return tuple(name for name in FRAMEWORKS if name in names)


CompanyId = Annotated[str, AfterValidator(known)]


class AnalyzeInputs(BaseModel):
    """A company, by id or name, and the frameworks to look at it through.

    ``sec:`` and a ticker, such as ``sec:AAPL``, asks the public filings of the SEC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: CompanyId = Field(max_length=80, title="Company")
    frameworks: Annotated[tuple[FrameworkName, ...], AfterValidator(_in_order)] = Field(
        ("porter",), min_length=1, max_length=len(FRAMEWORKS), title="Frameworks"
    )


SAMPLES: dict[str, dict[str, Any]] = {
    "one": {"company": "ledgerleaf", "frameworks": ["porter"]},
    "five": {"company": "ledgerleaf", "frameworks": list(FRAMEWORKS)},
    "similar": {"company": "shiftwise", "frameworks": ["porter"]},
}
