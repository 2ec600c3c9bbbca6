// Calls a ruthan service, from Node.js 20 or a browser.
//
//   import { Ruthan } from "./ruthan.mjs";
//   const ruthan = new Ruthan("https://ruthan.example", key);
//   const verdict = await ruthan.scan("ข้อความที่สงสัย", "sms");
//   for await (const result of ruthan.scanMany(texts)) console.log(result.label ?? result.error);
//
// In a browser the key would be everyone's: let pages call a server of yours, and that one ruthan.

const AGAIN = new Set([429, 502, 503, 504]); // statuses after which the same request may succeed
const LONGEST_WAIT = 60; // seconds

export class RuthanError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem; // RFC 9457: type, title, status, detail, instance
  }
}

export class Ruthan {
  #url;
  #headers;
  #limits;

  constructor(url, key, { retries = 4, timeout = 30 } = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
    this.retries = retries;
    this.timeout = timeout; // seconds for each reply
  }

  /** The verdict on one message. */
  scan(text, channel) {
    return this.#call("/v1/scan", { text, channel });
  }

  /** The verdict, with the words that the model went by. */
  explain(text, channel) {
    return this.#call("/v1/explain", { text, channel });
  }

  /** One result a text, in order: a verdict, or an object with `error`. */
  async *scanMany(texts) {
    this.#limits ??= (await this.#call("/v1/model")).limits;
    const { max_batch, max_batch_characters } = this.#limits;
    let part = [];
    let characters = 0;
    for await (const text of texts) {
      const length = text.length; // UTF-16 units: never fewer than the code points that the service counts
      if (part.length && (part.length >= max_batch || characters + length > max_batch_characters)) {
        yield* await this.#batch(part);
        part = [];
        characters = 0;
      }
      part.push({ text });
      characters += length;
    }
    if (part.length) yield* await this.#batch(part);
  }

  async #batch(messages) {
    return (await this.#call("/v1/scan/batch", { messages })).results;
  }

  async #call(path, body) {
    for (let attempt = 0; ; attempt++) {
      let reply;
      let failure;
      try {
        reply = await fetch(this.#url + path, {
          method: body ? "POST" : "GET",
          headers: this.#headers,
          body: body && JSON.stringify(body),
          redirect: "error", // the key is for this address
          signal: AbortSignal.timeout(this.timeout * 1000),
        });
        if (reply.ok) return await reply.json();
        failure = new RuthanError(reply.status, await reply.json().catch(() => ({})));
      } catch (error) {
        failure = error; // no connection, or no reply in time
      }
      const after = Number(reply?.headers.get("Retry-After")) || 0;
      const mayHelp = reply === undefined || AGAIN.has(reply.status);
      if (!mayHelp || attempt >= this.retries || after > LONGEST_WAIT) throw failure;
      const pause = Math.min(20, 0.25 * 2 ** attempt) * (0.5 + Math.random() / 2); // not all callers at once
      await new Promise((done) => setTimeout(done, (after + pause) * 1000));
    }
  }
}
