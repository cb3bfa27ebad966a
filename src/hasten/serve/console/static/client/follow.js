// Built from clients/typescript/src/follow.ts by make console: c043821ef63f51d666893d6f6fa5e1dc fe65f86d5ec6008645bd0ee578e7ffdc
/** Following a run to its end through as many connections as it takes. */
import { messageOf } from "./messages.js";
import { messagesOf } from "./sse.js";
const RETRY_MS = 2_000;
const RETRY_MOST_MS = 15_000;
const FRUITLESS_MOST = 5;
/**
 * Yields a run's messages, each once, to its last; a broken connection is followed by another
 * after the last message that came. Throws what is final, or when nothing new comes any more.
 */
export async function* follow(connect, { signal, after = "", onConnection = () => { }, sleep = wait } = {}) {
    let lastId = after;
    let retryMs = RETRY_MS;
    for (let fruitless = 0; !signal?.aborted;) {
        try {
            const { body } = await connect(lastId);
            onConnection(true);
            if (!body)
                return; // 204: all of it was seen
            for await (const found of messagesOf(body)) {
                if ("retryMs" in found) {
                    retryMs = found.retryMs;
                    continue;
                }
                lastId = found.id || lastId;
                fruitless = 0;
                const message = messageOf(found.id, found.event, JSON.parse(found.data));
                yield message;
                if (message.event === "end")
                    return;
            }
        }
        catch (error) {
            if (signal?.aborted)
                return;
            if (error.isFinal)
                throw error;
        }
        if (signal?.aborted)
            return;
        fruitless += 1;
        if (fruitless > FRUITLESS_MOST)
            throw new Error("The run's stream ended before the run did.");
        onConnection(false);
        await sleep(Math.min(retryMs * 2 ** (fruitless - 1), RETRY_MOST_MS), signal);
    }
}
function wait(delayMs, signal) {
    return new Promise((resolve) => {
        const stop = () => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", stop);
            resolve();
        };
        const timer = setTimeout(stop, delayMs);
        signal?.addEventListener("abort", stop);
    });
}
