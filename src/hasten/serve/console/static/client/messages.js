// Built from clients/typescript/src/messages.ts by make console: 6c5b9adfecdcd55bb2eb0b0eb507b7ea a6b75a763824fb85ab24865baaa664e4
/** What a stream of a run tells, in Hasten's own protocol (`format=hasten`). */
/** Names a message that has none on the wire by what it tells. */
export function messageOf(id, event, data) {
    const plain = data.complete ? "end" : data.status === "completed" ? "output" : "progress";
    return { id, event: event || plain, data };
}
