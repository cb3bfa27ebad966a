"""Every call on the wire leaves a span: who was asked, how long it took, what it cost.

Owns the ``model`` span. Sits directly around the wire, so that retries and
waiting for a slot are not counted as model time. ``chain`` puts it there.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from hasten.cache.trail import add_cost
from hasten.clock import current_clock
from hasten.model.base import OuterModel, Usage
from hasten.model.price import PRICES, PriceTable, cost_usd
from hasten.trace.recorder import span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk, Model, Request, Response
    from hasten.trace.recorder import OpenSpan


class TracedModel(OuterModel):
    """Records each call of ``inner`` with the attributes that ``trace/span`` lists for a model.

    The text of prompts is recorded only if ``records_prompts`` says so: free text is private.
    ``repairs`` counts the calls for the form of an answer, ``repair_usage`` their tokens.
    """

    def __init__(
        self, inner: Model, prices: PriceTable = PRICES, *, records_prompts: bool = False
    ) -> None:
        super().__init__(inner)
        self._prices = prices
        self._records_prompts = records_prompts
        self.repairs = 0
        self.repair_usage = Usage()

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Pass the stream on, noting when its first piece came.

        The span ends with the call, before the last chunk is passed on: whoever
        has the whole answer need not read to the end of the stream.
        """
        clock = current_clock()
        start_s = clock.monotonic()
        is_first = True
        last: Chunk | None = None
        with self._span(request) as here:
            async with aclosing(self._inner.stream(request)) as chunks:
                async for chunk in chunks:
                    if is_first:
                        here.set(first_token_s=clock.monotonic() - start_s)
                        is_first = False
                    if chunk.response is not None:
                        self._note(here, request, chunk.response)
                        last = chunk
                        break
                    yield chunk
        if last is not None:
            yield last

    async def complete(self, request: Request) -> Response:
        """Pass the answer on."""
        with self._span(request) as here:
            response = await self._inner.complete(request)
            self._note(here, request, response)
            return response

    def _span(self, request: Request) -> OpenSpan:
        model = request.model or self.name
        known: dict[str, Any] = {"model": model, "task": request.task, "section": request.section}
        if self._records_prompts:
            known["prompt"] = [{"role": one.role, "text": one.content} for one in request.messages]
        title = request.section or request.task or model
        return span("model", title, **{key: word for key, word in known.items() if word})

    def _note(self, here: OpenSpan, request: Request, response: Response) -> None:
        if request.is_repair:
            self.repairs += 1
            self.repair_usage += response.usage
        here.set(simulated=response.simulated)
        note_usage(here, response, self._prices)


def note_usage(here: OpenSpan, response: Response, prices: PriceTable) -> None:
    """Note on a call's span, and on what is being computed, what its answer took and cost.

    What the provider's prompt cache spared is named apart from what our own cache saves,
    and is in the cost already.
    """
    usage = response.usage
    cost = cost_usd(response.model, usage, prices)
    here.set(
        model=response.model,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        cached_tokens_in=usage.cached_tokens_in,
        cost_usd=cost.usd,
    )
    if usage.cache_write_tokens_in:
        here.set(
            cache_write_tokens_in=usage.cache_write_tokens_in,
            prompt_written_usd=cost.prompt_written_usd,
        )
    if cost.prompt_saved_usd:
        here.set(prompt_saved_usd=cost.prompt_saved_usd)
    if not cost.is_known:
        here.set(cost_unknown=True)
    add_cost(cost.usd)
