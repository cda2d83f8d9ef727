// The connection to the cluster: what it tells, what can be asked, and what happens when it does not answer.

const token = new URLSearchParams(location.search).get("token") ?? "";

/** A place of the cluster's server, with the token that lets us in. */
function at(path, parameters = {}) {
  return `${path}?${new URLSearchParams({ ...parameters, token })}`;
}

/** What the server has answered instead of what was asked; the message is its own. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message || `The server has answered with ${status}.`);
    this.status = status;
  }
}

export async function ask(path, parameters) {
  const response = await fetch(at(path, parameters));
  if (!response.ok) throw new Refusal(response.status, (await response.text()).trim());
  return response.json();
}

/** From one attempt to the next, in seconds. */
const PAUSES = [0.5, 1, 2, 4, 8, 15];
/** A cluster says something each second; after so many milliseconds of silence nobody is there. */
const SILENCE = 20_000;

/**
 * Reads what happens, and comes back when the connection is lost. `heard` has `snapshot(text)`, `blocks(text)` and
 * `state(name, { message, seconds })`: "live", "lost" (again in so many seconds), "ended" or "refused".
 */
export class Connection {
  #source = null;
  #attempt = 0;
  #timer = 0;
  #last = 0;
  #state = "connecting";

  constructor(heard) {
    this.heard = heard;
    setInterval(() => {
      if (this.#state === "live" && performance.now() - this.#last > SILENCE) this.#lose("");
    }, 5000);
  }

  open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource(at("/events"));
    this.#source = source;
    source.addEventListener("snapshot", ({ data }) => {
      this.#hear();
      this.heard.snapshot(data);
    });
    source.addEventListener("blocks", ({ data }) => {
      this.#hear();
      this.heard.blocks(data);
    });
    source.addEventListener("end", () => {
      source.close();
      this.#become("ended");
    });
    source.addEventListener("error", () => {
      // It is closed if there was an answer, but not the one that was asked for; it does not say which.
      const wasRefused = source.readyState === EventSource.CLOSED;
      source.close();
      if (wasRefused) this.#inquire();
      else this.#lose("");
    });
  }

  /** Tries again now. */
  retry() {
    this.#attempt = 0;
    this.open();
  }

  #hear() {
    this.#last = performance.now();
    this.#attempt = 0;
    if (this.#state !== "live") this.#become("live");
  }

  async #inquire() {
    try {
      const response = await fetch(at("/events"), { headers: { accept: "text/event-stream" } });
      const message = response.ok ? "" : (await response.text()).trim();
      response.body?.cancel().catch(() => {});
      if (response.status === 401) this.#become("refused", { message });
      else this.#lose(message);
    } catch {
      this.#lose("");
    }
  }

  #lose(message) {
    this.#source?.close();
    const seconds = PAUSES[Math.min(this.#attempt, PAUSES.length - 1)];
    this.#attempt += 1;
    this.#become("lost", { message, seconds });
    this.#timer = setTimeout(() => this.open(), seconds * 1000);
  }

  #become(state, how = {}) {
    this.#state = state;
    this.heard.state(state, how);
  }
}
