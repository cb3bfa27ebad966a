// Built from clients/typescript/src/sse.ts by make console: de182598fddc983fbfe3f91f540688ee dfb572405f6bb780c704dd587a9b44ff
/** The text/event-stream format, read piece by piece (WHATWG HTML, 9.2.6). */
/** Takes pieces of a stream as the network cut them, gives the messages they complete. */
export class EventParser {
    #rest = "";
    #isFirst = true;
    #event = "";
    #id = "";
    #data = [];
    /** Takes a piece; returns the messages it completes. */
    push(piece) {
        let text = this.#rest + piece;
        if (this.#isFirst && text) {
            text = text.replace(/^\uFEFF/, "");
            this.#isFirst = false;
        }
        // A lone \r at the very end may be half of \r\n: it waits for the next piece.
        const end = text.endsWith("\r") ? text.length - 1 : text.length;
        const lines = text.slice(0, end).split(/\r\n|\n|\r/);
        this.#rest = lines.pop() + text.slice(end);
        return lines.flatMap((line) => this.#line(line));
    }
    #line(line) {
        if (line === "")
            return this.#dispatch();
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "data")
            this.#data.push(value);
        else if (field === "event")
            this.#event = value;
        else if (field === "id" && !value.includes("\0"))
            this.#id = value;
        else if (field === "retry" && /^\d+$/.test(value))
            return [{ retryMs: Number(value) }];
        return [];
    }
    #dispatch() {
        const message = { id: this.#id, event: this.#event, data: this.#data.join("\n") };
        const hasData = this.#data.length > 0;
        this.#event = "";
        this.#data = [];
        return hasData ? [message] : [];
    }
}
/** Yields the messages of a response's body. */
export async function* messagesOf(body) {
    const parser = new EventParser();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    try {
        for (;;) {
            const { done, value } = await reader.read();
            if (done)
                return;
            yield* parser.push(decoder.decode(value, { stream: true }));
        }
    }
    finally {
        reader.cancel().catch(() => { }); // the connection may be gone already
    }
}
