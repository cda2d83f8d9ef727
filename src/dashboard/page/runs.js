// The runs, the last one first: how far each is, how fast, how it ended, and the same by key prefix.

import { Bar, Numbers, ended, shareText } from "./counts.js";
import { Keyed, counted, find, format, make, rate, setAttribute, setNumber, setText, show } from "./elements.js";

/** So many runs are shown at first. */
const FEW = 5;
const PREFIXES = 50;
/** A run that goes on for so long, in seconds, unfolds its prefixes if there are no more than so many. */
const LONG = 1.5;
const UNFOLDED = 12;
/** Only so many of the last runs do so. */
const UNFOLDING = 2;
/** Prefixes that nobody sees are written less often, in milliseconds. */
const FOLDED_APART = 1000;

const ENDINGS = { done: "done", failed: "failed", cancelled: "cancelled", running: "running" };

export class Runs {
  #showsAll = false;
  #last = null;

  constructor(palette) {
    this.list = find("runs-list");
    this.empty = this.list.firstElementChild;
    this.keyed = new Keyed(make("div", { class: "runs" }), {
      key: (run) => run.id,
      make: (run) => new RunCard(run, palette),
    });
    this.list.append(this.keyed.container);
    this.more = find("runs-more");
    this.button = this.more.querySelector("button");
    this.button.addEventListener("click", () => {
      this.#showsAll = !this.#showsAll;
      this.update(this.#last);
    });
  }

  update(snapshot) {
    this.#last = snapshot;
    const runs = [...snapshot.runs].reverse();
    const running = runs.filter((run) => run.status === "running").length;
    // Those that go on are always shown.
    const shown = this.#showsAll ? runs : runs.filter((run, place) => place < FEW || run.status === "running");
    this.keyed.update(shown.map((run, place) => ({ ...run, at: snapshot.at, mayUnfold: place < UNFOLDING })));
    show(this.empty, runs.length === 0);
    const all = runs.length > FEW && snapshot.totals.runs > runs.length ? `, ${format.count(snapshot.totals.runs)} in all` : "";
    setText(find("runs-note"), runs.length ? `${counted(running, "run")} ${running === 1 ? "goes" : "go"} on${all}` : "");
    const left = runs.length - shown.length;
    show(this.more, left > 0 || (this.#showsAll && runs.length > FEW));
    setText(this.button, this.#showsAll ? "Show fewer" : `Show ${format.count(left)} more`);
    setAttribute(this.button, "aria-expanded", this.#showsAll);
  }
}

class RunCard {
  #signature = "";
  #wasToggled = false;
  #opensItself = false;
  /** Not those of many runs at one time. */
  #prefixesAt = performance.now() - Math.random() * FOLDED_APART;
  #shown = null;

  constructor({ id }, palette) {
    const title = `run-${id}-title`;
    this.status = make("span", { class: "status" });
    this.share = make("span", { class: "share" });
    this.pace = make("p", { class: "pace note", "data-pace": true });
    this.bar = new Bar(`Run ${id}`);
    this.numbers = new Numbers();
    this.facts = make("p", { class: "note facts" });
    this.error = make("p", { class: "error-line", "data-run-error": true, hidden: true });
    this.summary = make("summary", {});
    this.prefixes = new Keyed(make("ul", { class: "prefixes" }), {
      key: (prefix) => prefix.place,
      make: (prefix) => new PrefixRow(prefix, id, palette),
    });
    this.more = make("p", { class: "note", hidden: true });
    this.details = make("details", {}, this.summary, this.prefixes.container, this.more);
    this.summary.addEventListener("click", () => {
      this.#wasToggled = true;
    });
    this.details.addEventListener("toggle", () => this.details.open && this.#updatePrefixes());
    this.element = make(
      "article",
      { class: "run", "data-run": id, "aria-labelledby": title },
      make("div", { class: "run-head" }, make("h3", { id: title }, `Run ${id}`), this.status, this.pace, this.share),
      this.bar.element,
      make("div", { class: "run-numbers" }, this.numbers.element, this.facts),
      this.error,
      this.details,
    );
  }

  update(run) {
    this.#unfold(run);
    if (run.status === "running") {
      setText(this.pace, pace(run));
    } else {
      // What has ended stays as it is.
      const signature = JSON.stringify([run.status, run.ended, run.counts, run.bytes, run.task_seconds]);
      if (signature === this.#signature) return;
      this.#signature = signature;
      setText(this.pace, ending(run));
    }
    setAttribute(this.element, "data-status", run.status);
    setAttribute(this.status, "class", `status status-${run.status}`);
    setText(this.status, ENDINGS[run.status] ?? run.status);
    setNumber(this.share, ended(run.counts), shareText(run.counts));
    this.bar.update(run.counts);
    this.numbers.update(run.counts);
    setText(this.facts, facts(run));
    show(this.error, Boolean(run.error));
    setText(this.error, run.error ?? "");
    setText(this.summary, counted(run.prefixes.length + run.more_prefixes, "key prefix", "key prefixes"));
    this.#shown = run.prefixes;
    if (this.details.open || run.status !== "running" || performance.now() - this.#prefixesAt > FOLDED_APART) this.#updatePrefixes();
    const left = run.prefixes.length + run.more_prefixes - Math.min(run.prefixes.length, PREFIXES);
    show(this.more, left > 0);
    setText(this.more, left > 0 ? `and ${format.count(left)} more` : "");
    show(this.details, run.prefixes.length > 0);
  }

  #updatePrefixes() {
    this.#prefixesAt = performance.now();
    this.prefixes.update(this.#shown.slice(0, PREFIXES));
  }

  /** Shows the prefixes of a run that takes a while, unless somebody has folded them. */
  #unfold(run) {
    if (this.#wasToggled) return;
    const isLong = run.status === "running" && run.at - run.began > LONG;
    const isFew = run.prefixes.length > 1 && run.prefixes.length <= UNFOLDED;
    if (isLong && isFew && run.mayUnfold && !this.#opensItself) {
      this.#opensItself = true;
      this.details.open = true;
    } else if (run.status !== "running" && this.#opensItself && this.details.open && !this.details.matches(":focus-within")) {
      this.#opensItself = false;
      this.details.open = false;
    }
  }
}

function pace(run) {
  const words = [];
  if (run.rate > 0) words.push(`${rate(run.rate)} tasks/s`);
  if (run.seconds_left != null) words.push(`about ${roughly(run.seconds_left)} left`);
  return words.join(", ") || `for ${roughly(run.at - run.began)}`;
}

function ending(run) {
  const took = format.seconds((run.ended ?? run.at) - run.began);
  return run.status === "done" ? `in ${took}` : `after ${took}`;
}

/** A time that is a guess: whole seconds. */
function roughly(seconds) {
  return seconds < 1 ? "1 s" : format.seconds(Math.round(seconds));
}

function facts(run) {
  const took = (run.ended ?? run.at) - run.began;
  const words = [`${format.bytes(run.bytes)} made`, `${format.seconds(run.task_seconds)} in tasks`];
  if (run.status !== "running" && took > 0 && run.counts.done > 1) words.push(`${rate(run.counts.done / took)} tasks/s`);
  const hooks = run.hooks.reduce((sum, hook) => sum + hook.seconds, 0);
  if (hooks > 0.01 * took) words.push(`${format.seconds(hooks)} in callbacks`);
  return words.join(" · ");
}

class PrefixRow {
  constructor({ name }, run, palette) {
    this.bar = new Bar(`${name} of run ${run}`);
    this.ended = make("span", { class: "of" });
    this.mean = make("span", { "data-mean": true });
    this.bytes = make("span", { "data-bytes": true });
    this.numbers = new Numbers();
    this.element = make(
      "li",
      { "data-prefix": name },
      make("span", { class: "prefix-name" }, palette.swatch(name), make("span", { title: name }, name || "(no name)")),
      this.bar.element,
      make("span", { class: "prefix-facts note" }, this.ended, this.mean, this.bytes),
      this.numbers.element,
    );
  }

  update({ counts, task_seconds: seconds, timed, bytes }) {
    this.bar.update(counts);
    this.numbers.update(counts);
    setNumber(this.ended, ended(counts), `${format.count(ended(counts))} / ${format.count(counts.total)}`);
    const mean = timed > 0 ? seconds / timed : 0;
    setNumber(this.mean, mean, timed > 0 ? `${format.seconds(mean)} each` : "–");
    setNumber(this.bytes, bytes, format.bytes(bytes));
  }
}
