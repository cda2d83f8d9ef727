// The tasks that failed, the last one first, each with all that is known of it.

import { Keyed, counted, find, format, make, setAttribute, setText, show } from "./elements.js";
import { ask } from "./live.js";

/** So many are shown at first, and so many at most. */
const FEW = 6;
const MOST = 50;

export class Errors {
  #showsAll = false;
  #last = null;

  constructor(lookUp) {
    this.list = find("errors-list");
    this.empty = this.list.firstElementChild;
    const container = make("div", { class: "errors" });
    this.list.append(container);
    this.keyed = new Keyed(container, { key: ({ place }) => place, make: (error) => entry(error, lookUp) });
    this.more = find("errors-more");
    this.rest = make("span", { class: "note" });
    this.button = make("button", { type: "button", "aria-expanded": "false" });
    this.button.addEventListener("click", () => {
      this.#showsAll = !this.#showsAll;
      this.update(this.#last);
    });
    this.more.append(this.button, this.rest);
  }

  update(snapshot) {
    this.#last = snapshot;
    const { at, errors, totals } = snapshot;
    const all = named(errors).reverse();
    this.keyed.update(all.slice(0, this.#showsAll ? MOST : FEW).map((error) => ({ ...error, now: at })));
    show(this.empty, all.length === 0);
    show(this.more, all.length > FEW);
    const known = Math.min(all.length, MOST);
    setText(this.button, this.#showsAll ? "Show fewer" : `Show ${format.count(known - FEW)} more`);
    setAttribute(this.button, "aria-expanded", this.#showsAll);
    const left = Math.max(totals.failed + totals.retried, all.length) - known;
    setText(this.rest, left > 0 ? ` and ${format.count(left)} from before` : "");
    const words = [`${format.count(totals.failed)} failed for good`, `${format.count(totals.retried)} tried again`];
    setText(find("errors-note"), all.length ? words.join(", ") : "");
  }
}

/** Errors with a key of their own: attempts of one task at one moment are told apart by their order. */
function named(errors) {
  const times = new Map();
  return errors.map((error) => {
    const name = `${error.at} ${error.run} ${error.key}`;
    times.set(name, (times.get(name) ?? 0) + 1);
    return { ...error, place: `${name} ${times.get(name)}` };
  });
}

function entry(error, lookUp) {
  const run = error.run === null ? "" : `run ${error.run}, `;
  const when = make("span");
  const state = make("span");
  let text = error.details.trim() || error.error;
  const copy = make("button", { type: "button" }, "Copy");
  copy.addEventListener("click", () => copyText(text, copy));
  const look = make("button", { type: "button" }, "Look up the key");
  look.addEventListener("click", () => lookUp(error.key));
  const summary = make(
    "summary",
    {},
    make("span", { class: "error-head" }, make("code", {}, error.key), state, make("span", { class: "note" }, run, when)),
    make("span", { class: "error-line" }, error.error),
  );
  const trace = make("pre", { tabindex: "0", role: "group", "aria-label": `All that is known of the failure of ${error.key}` }, text);
  const details = make("details", {}, summary, make("div", { class: "tools" }, copy, look), trace);
  // What is long does not come with the stream; it is fetched when somebody wants to read it.
  let isWhole = error.details !== "";
  details.addEventListener("toggle", async () => {
    if (isWhole) return;
    isWhole = true;
    try {
      text = (await detailsOf(error)) || text;
      setText(trace, text);
    } catch {
      // The notice on top says that nobody answers; the next time it is opened may have more luck.
      isWhole = false;
    }
  });
  const element = make("div", { class: "failure", "data-error": true, "data-run-id": error.run, "data-key": error.key }, details);
  return {
    element,
    update({ at, now, is_final: isFinal, is_retried: isRetried }) {
      // What comes of a failure is known a moment later.
      setAttribute(element, "data-final", isFinal);
      setAttribute(state, "class", isRetried ? "status status-cancelled" : "status status-failed");
      setText(state, isFinal ? "final" : isRetried ? "tried again" : "failed");
      setText(when, `at ${format.seconds(at)}, ${ago(now - at)}`);
    },
  };
}

async function detailsOf({ place }) {
  const { errors } = await ask("/api/snapshot");
  return named(errors).find((error) => error.place === place)?.details.trim();
}

function ago(seconds) {
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${5 * Math.floor(seconds / 5)} s ago`;
  if (seconds < 3600) return `${counted(Math.floor(seconds / 60), "minute")} ago`;
  return `${counted(Math.floor(seconds / 3600), "hour")} ago`;
}

async function copyText(text, button) {
  let told = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a safe connection there is no clipboard; then it is marked, for Ctrl+C.
    const trace = button.closest("details").querySelector("pre");
    getSelection().selectAllChildren(trace);
    told = "Marked: copy it by Ctrl+C";
  }
  setText(button, told);
  setTimeout(() => setText(button, "Copy"), 2000);
}
