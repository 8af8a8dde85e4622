/** A reason's code in words: `wrong_type` → `wrong type`; the abbreviations keep their case. */
export function reasonText(code: string): string {
  return code
    .split("_")
    .map((word) => ({ json: "JSON", utf8: "UTF-8" })[word] ?? word)
    .join(" ");
}

/** A payload to read: JSON in its usual indentation, anything else as it came. */
export function payloadText(payload: string): string {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload;
  }
}

/** Whether a pipeline put it aside: a row, which has come through the door and is in its stream. */
export function isOfPipeline(message: { topic: string }): boolean {
  return message.topic.startsWith("$pipeline/");
}
