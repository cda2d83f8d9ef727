// Looking up a key: what its task does, what it waits for, and what happened to it.

import { find, make, prefersStillness } from "./elements.js";
import { Refusal, ask } from "./live.js";

export class Lookup {
  #asked = 0;

  constructor() {
    this.input = find("lookup-key");
    this.output = find("explanation");
    find("lookup-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#explain(this.input.value.trim());
    });
  }

  /** Explains a key that was chosen elsewhere on the page. */
  show(key) {
    this.input.value = key;
    const behavior = prefersStillness() ? "auto" : "smooth";
    find("lookup").scrollIntoView({ block: "nearest", behavior });
    this.input.focus({ preventScroll: true });
    this.#explain(key);
  }

  async #explain(key) {
    this.#asked += 1;
    const asked = this.#asked;
    if (!key) {
      this.#tell("failed", make("p", {}, "Write a key first, as it is shown in the errors or the workers."));
      this.input.focus();
      return;
    }
    this.output.setAttribute("aria-busy", "true");
    let told;
    try {
      told = explanation(await ask("/api/explain", { key }));
    } catch (error) {
      const text = error instanceof Refusal ? error.message : "The cluster does not answer; see the notice on top.";
      told = ["failed", make("p", {}, text)];
    }
    // Only the last question is answered.
    if (asked !== this.#asked) return;
    this.output.removeAttribute("aria-busy");
    this.#tell(...told);
  }

  #tell(state, ...parts) {
    this.output.dataset.state = state;
    this.output.replaceChildren(...parts);
  }
}

function explanation({ key, explanation: text, story }) {
  const parts = [make("h3", {}, make("code", {}, key)), make("pre", { class: "says", tabindex: "0", role: "group", "aria-label": "Explanation" }, text)];
  if (story.length > 0) {
    const most = 50;
    const items = story.slice(-most).map((line) => make("li", {}, line));
    parts.push(make("h3", {}, "What happened to it lately"), make("ol", { class: "story" }, ...items));
    if (story.length > most) parts.push(make("p", { class: "note" }, `and ${story.length - most} before`));
  }
  return ["told", ...parts];
}
