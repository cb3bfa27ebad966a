"""Where a finished report goes: one document, then one record.

Owns the last two phases, ``file_io`` and ``db_write`` (discovery plan 0.1,
locations 5 and 6), as steps that both modes share. The runtime keeps the run
itself; the shelf is the application's own copy, in memory, and as slow as the
plan measured when the run is simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten import current_clock, step

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITE_S = {"file_io": 0.250, "db_write": 0.150}
"""Seconds for the document and for the record, as discovery plan 0.1 timed them."""


class ReportStore:
    """Keeps one run's finished report: ``document`` as written, ``parts`` as recorded."""

    def __init__(self, write_s: Mapping[str, float] | None = None) -> None:
        self._write_s = write_s or {}
        self.document = ""
        self.parts: dict[str, str] = {}

    async def write_document(self, document: str) -> str:
        """Keep the whole report as one document and return it as it reads back."""
        await current_clock().sleep(self._write_s.get("file_io", 0.0))
        self.document = document
        return self.document

    async def write_record(self, parts: Mapping[str, str]) -> None:
        """Keep the parts of the report."""
        await current_clock().sleep(self._write_s.get("db_write", 0.0))
        self.parts = dict(parts)


@step(phase="file_io", label="Putting the report together")
async def report_document(
    shelf: ReportStore,
    profile_analysis: str,
    startup_ideas_research: str,
    personalized_recommendations: str,
) -> str:
    """Join the three outputs into one document."""
    parts = (profile_analysis, startup_ideas_research, personalized_recommendations)
    return await shelf.write_document("\n\n".join(parts) + "\n")


@step(phase="db_write", label="Saving the report")
async def report_record(
    shelf: ReportStore,
    report_document: str,  # noqa: ARG001 - the document comes first
    profile_analysis: str,
    startup_ideas_research: str,
    personalized_recommendations: str,
) -> None:
    """Save the three outputs."""
    await shelf.write_record(
        {
            "profile_analysis": profile_analysis,
            "startup_ideas_research": startup_ideas_research,
            "personalized_recommendations": personalized_recommendations,
        }
    )
