"""An analysis as a document: nothing in it can break out of its cell."""

from __future__ import annotations

import msgspec

from hasten.cli.document import Analysis, as_html, as_markdown
from hasten.trace.log import MemorySink
from hasten.trace.report import bottlenecks, repeated_calls, run_times
from hasten.trace.tree import Trace
from hasten.wire_runs import run_virtually
from tests.toy import toy_app


def analysis(name: str) -> Analysis:
    """Return the analysis of one run of the toy whose longest tool has this name."""
    outcome = run_virtually(toy_app(), {"topic": "tea"}, "hasten", sink=MemorySink())
    spans = [
        msgspec.structs.replace(span, name=name) if span.name == "prices" else span
        for span in outcome.spans
    ]
    traces = [Trace(outcome.record, spans)]
    now = run_times(traces)
    return Analysis(
        app="toy <b>",
        mode="hasten",
        now=now,
        bottlenecks=bottlenecks(traces),
        repeated=repeated_calls(traces),
    )


def test_html_is_escaped() -> None:
    """A name with markup is shown, not obeyed."""
    page = as_html(analysis("<script>alert(1)</script>"))
    assert "<script>" not in page
    assert "tool &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<title>toy &lt;b&gt;: where the time goes</title>" in page


def test_markdown_keeps_its_columns() -> None:
    """A bar in a name does not begin another cell."""
    assert "| tool a\\|b | research |" in as_markdown(analysis("a|b"))
