"""Talks, forecasts, monitors, exports, and the SEC's filings."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from hasten.apps.consultant import app
from hasten.apps.consultant.archive import (
    Analysis,
    SectionText,
    list_analyses,
    newest_analysis,
    read_analysis,
)
from hasten.apps.consultant.chat import history, relevant
from hasten.apps.consultant.edgar import EdgarSource
from hasten.apps.consultant.exports import EXPORTS
from hasten.apps.consultant.inputs import SAMPLES
from hasten.apps.consultant.monitors import (
    Monitor,
    MonitorAsked,
    keep_monitors,
    list_alerts,
    list_monitors,
    moved,
    whose_are_due,
)
from hasten.apps.consultant.projection import project
from hasten.apps.consultant.sources import SampleSource
from hasten.caller import Caller, set_caller
from hasten.errors import HastenError
from hasten.testing.http import serving
from hasten.trial import try_virtually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.graph.outcome import Outcome
    from hasten.model.base import Model
    from hasten.store.sql import Tables
    from hasten.trial import Trial

ANN = Caller("trial", "ann")
ODD = Analysis(
    analysis_id="a1",
    company="x",
    company_name="<b>Łódź & Söhne</b>",
    industry="software",
    frameworks=("swot",),
    missing=("financial",),
    summary="=1+1",
    created_at_s=0.0,
    sections=(
        SectionText(
            section_id="a1-00",
            chapter="swot",
            chapter_title="SWOT",
            title="Strengths",
            text="=HYPERLINK()\x00\n\n- **one** <para>\n漢字 " + "long " * 3_000,
        ),
    ),
)


def test_a_talk_is_remembered_and_cites_what_it_read() -> None:
    """The second question is told the first; nobody else reads the talk or the analysis."""

    async def measure(trial: Trial) -> float:
        made = await trial.run(SAMPLES["five"])
        first = await trial.run({"message": "Who are its rivals?"}, operation="chat")
        reply = first.outputs["answer"]
        assert reply.analysis_id == made.outputs["analysis_id"]
        assert "Market: Rivals" in reply.cites.values()
        again = await trial.run({"message": "Who are its rivals?"}, operation="chat")
        assert again.record.tokens_in > first.record.tokens_in
        elsewhere = {"message": "Who are its rivals?", "conversation_id": "other"}
        fresh = await trial.run(elsewhere, operation="chat")
        assert fresh.record.tokens_in == first.record.tokens_in
        bob = await trial.run({"message": "Rivals?"}, operation="chat", user="bob")
        assert bob.status == "failed"
        set_caller(Caller("another", "ann"))
        with pytest.raises(HastenError, match="there is no analysis"):
            await read_analysis(trial.tables, reply.analysis_id)
        return 0.0

    for mode in app.graphs:
        try_virtually(app, measure, mode)


def reads(outcome: Outcome) -> list[str]:
    """Return the storage calls of a run that read."""
    calls = [span.name for span in outcome.spans if span.kind == "storage"]
    return [name for name in calls if not name.startswith(("put_many", "write"))]


def test_what_is_talked_about_is_read_once() -> None:
    """Until its owner makes another, which is talked about from then on; others' change nothing."""

    async def measure(trial: Trial) -> float:
        first = await trial.run(SAMPLES["five"])
        ask = {"message": "Who are its rivals?"}
        whole = await trial.run(ask, operation="chat")
        assert len(reads(whole)) == 2
        assert whole.outputs["answer"].analysis_id == first.outputs["analysis_id"]
        assert len(reads(await trial.run(ask, operation="chat"))) == 1
        await trial.run(SAMPLES["one"], user="bob")
        assert len(reads(await trial.run(ask, operation="chat"))) == 1
        second = await trial.run(SAMPLES["one"])
        again = await trial.run(ask, operation="chat")
        assert again.outputs["answer"].analysis_id == second.outputs["analysis_id"]
        set_caller(Caller("trial", "ann"))
        kept = await newest_analysis(trial.tables)
        assert kept == await read_analysis(trial.tables, second.outputs["analysis_id"])
        assert await trial.tables.erase("trial", "ann")
        gone = await trial.run(ask, operation="chat")
        assert gone.status == "failed"
        return 0.0

    try_virtually(app, measure, "hasten")


def test_two_messages_at_once_are_both_kept() -> None:
    """Each pair in places of its own, in the order they came."""

    async def measure(trial: Trial) -> float:
        await trial.run(SAMPLES["one"])
        asked = [{"message": f"Question {number}?"} for number in range(3)]
        await asyncio.gather(*(trial.run(one, operation="chat") for one in asked))
        set_caller(Caller("trial", "ann"))
        said = await history(trial.tables, "main")
        assert [one["said_by"] for one in said] == ["You", "Consultant"] * 3
        assert {one["text"] for one in said[::2]} == {one["message"] for one in asked}
        return 0.0

    try_virtually(app, measure, "hasten")


def test_relevance_is_by_telling_words() -> None:
    """Words that every section has tell nothing."""
    texts = {"Rivals": "the firm meets rivals", "Debt": "the firm owes banks", "Law": "the firm"}
    sections = [
        SectionText(section_id=name, chapter="c", chapter_title="C", title=name, text=text)
        for name, text in texts.items()
    ]
    assert relevant(sections, "Which banks does the firm owe?", 1)[0].title == "Debt"
    assert relevant(sections, "???")[0].title == "Rivals"


@given(
    st.lists(st.floats(-1e4, 1e4, allow_nan=False), min_size=6, max_size=10),
    st.integers(1, 10),
)
@pytest.mark.slow
def test_any_series_has_a_projection(past: list[float], years: int) -> None:
    """Each year has its interval around the likely value."""
    _, ahead = project(past, years, 0.8)
    assert len(ahead) == years
    assert all(low <= likely <= high or math.isinf(high) for likely, low, high in ahead)


def test_intervals_widen_and_hold_what_comes() -> None:
    """With the years, and with the confidence; a steady growth is seen."""
    past = [100 * 1.08**year * (1.01 if year % 2 else 0.99) for year in range(10)]
    _, ahead = project(past, 5, 0.8)
    widths = [high / low for _, low, high in ahead]
    assert widths == sorted(widths)
    assert ahead[0][1] < 100 * 1.08**10 * 0.99 < ahead[0][2]
    _, sure = project(past, 5, 0.99)
    assert sure[0][2] - sure[0][1] > ahead[0][2] - ahead[0][1]


class Moving(SampleSource):
    """A company whose price is what the test says."""

    price = 100.0

    async def pulse(self, company: str) -> dict[str, float]:
        """Return the price; one company cannot be reached."""
        if company == "shiftwise":
            message = "no price today"
            raise HastenError(message)
        return {"share price": self.price}


def test_monitors_look_again_and_say_what_moved() -> None:
    """Only those due, only what moved enough; one that fails is looked at again."""
    source = Moving()

    def resources(model: Model, *, is_simulated: bool, tables: Tables) -> Mapping[str, Any]:
        return {"model": model, "source": source}

    async def measure(trial: Trial) -> float:
        set_caller(ANN)
        asked = [MonitorAsked(company=one, every_s=60) for one in ("ledgerleaf", "shiftwise")]
        await keep_monitors(trial.tables, asked)
        assert await whose_are_due(trial.tables) == [(ANN, {})]
        first = (await trial.run({}, operation="check")).outputs["checked"]
        assert (first.monitors, first.alerts, list(first.failed.values())) == (
            2,
            (),
            ["no price today"],
        )
        source.price = 95.0
        early = (await trial.run({}, operation="check")).outputs["checked"]
        assert (early.monitors, early.alerts) == (1, ())
        await trial.clock.sleep(61)
        later = (await trial.run({}, operation="check")).outputs["checked"]
        assert [one.text for one in later.alerts] == ["share price moved by -5.0 %, from 100 to 95"]
        assert await list_alerts(trial.tables) == list(later.alerts)
        set_caller(Caller("another", "ann"))
        assert await list_alerts(trial.tables) == []
        assert await list_monitors(trial.tables) == []
        return 0.0

    try_virtually(replace(app, resources=resources), measure, "hasten")


def test_a_figure_that_was_nothing_raises_no_alarm() -> None:
    """Nothing to compare with, nothing to divide by."""
    one = Monitor(
        company="ledgerleaf", monitor_id="m", active=True, next_check_s=0.0, seen={"debt": 0.0}
    )
    assert moved(one, {"debt": 5.0, "price": 1.0}, 0.0) == []


def test_every_form_takes_any_text() -> None:
    """Markup, formulas, control characters and other scripts are text."""
    made = {form: make(ODD) for form, (_, make) in EXPORTS.items()}
    assert made["pdf"].startswith(b"%PDF")
    assert "Łódź & Söhne" in made["md"].decode()
    assert Analysis.model_validate_json(made["json"]) == ODD
    book = load_workbook(BytesIO(made["xlsx"]))
    assert book["Sections"]["C2"].data_type == "s"
    assert book["Sections"]["C2"].value.startswith("=HYPERLINK()")
    assert book["Analysis"]["B6"].data_type == "s"


def test_the_sec_is_read_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who files, what was filed, ten annual figures; later reports correct."""
    sec = FastAPI()

    @sec.get("/files/company_tickers.json")
    async def tickers() -> dict[str, Any]:
        return {"0": {"cik_str": 42, "ticker": "TEA", "title": "Tea Inc"}}

    @sec.get("/submissions/CIK0000000042.json")
    async def submissions() -> dict[str, Any]:
        recent = {"filingDate": ["2025-10-30"], "form": ["8-K"], "primaryDocDescription": ["8-K"]}
        return {"name": "Tea Inc", "sicDescription": "Beverages", "filings": {"recent": recent}}

    @sec.get("/api/xbrl/companyconcept/CIK0000000042/us-gaap/{tag}.json")
    async def concept(tag: str) -> dict[str, Any]:
        if tag not in {"Revenues.json", "Revenues"}:
            return {}
        annual = [
            {
                "start": f"{year}-01-01",
                "end": f"{year}-12-31",
                "val": year * 1e6,
                "form": "10-K",
                "filed": f"{year + 1}-02-01",
            }
            for year in range(2010, 2025)
        ]
        quarter = {**annual[-1], "start": "2024-10-01", "val": 1, "filed": "2025-03-01"}
        corrected = {**annual[-1], "val": 7e6, "form": "10-K/A", "filed": "2025-06-01"}
        return {"units": {"USD": [corrected, quarter, *annual]}}

    async def main() -> None:
        async with serving(sec) as url:
            source = EdgarSource(url, url)
            monkeypatch.delenv("SEC_CONTACT", raising=False)
            with pytest.raises(HastenError, match="SEC_CONTACT"):
                await source.company("sec:TEA")
            monkeypatch.setenv("SEC_CONTACT", "ann@example.org")
            assert (await source.company("sec:TEA")).name == "Tea Inc"
            assert await source.news("sec:TEA") == ("2025-10-30: 8-K 8-K",)
            filings = await source.filings("sec:TEA")
            assert filings.first_year == 2015
            assert filings.revenue == (*(float(year) for year in range(2015, 2024)), 7.0)
            with pytest.raises(HastenError, match="no company with the ticker 'NONE'"):
                await source.company("sec:NONE")
        with pytest.raises(HastenError, match="did not answer"):
            await source.company("sec:TEA")

    asyncio.run(main())


def test_a_list_is_kept_until_there_is_one_more() -> None:
    """A cached query sees what was written since."""

    async def measure(trial: Trial) -> float:
        set_caller(ANN)
        assert await list_analyses(trial.tables) == []
        await trial.run(SAMPLES["one"])
        assert len(await list_analyses(trial.tables)) == 1
        await trial.run(SAMPLES["similar"])
        for use_cache in (True, False):
            found = await list_analyses(trial.tables, use_cache=use_cache)
            assert [one.company for one in found] == ["shiftwise", "ledgerleaf"]
        return 0.0

    try_virtually(app, measure, "hasten")
