// What the page says about itself: whether it is connected, what has just ended or failed, and its title.

import { ended, shareText } from "./counts.js";
import { counted, find, format, make, setText } from "./elements.js";

const WORDS = { connecting: "connecting", live: "live", lost: "connection lost", ended: "cluster has ended", refused: "not let in" };
/** What is announced of it. */
const SPOKEN = {
  lost: "The connection is lost.",
  ended: "The cluster has ended.",
  refused: "The dashboard does not let this page in.",
};
/** How far apart two announcements are at least, in milliseconds. */
const APART = 1500;

export class Notices {
  #notice = null;
  #countdown = 0;
  #since = null;
  #statuses = null;
  #errors = null;
  #news = [];
  #announced = 0;

  constructor(connection) {
    this.retry = () => connection.retry();
  }

  connection(state, { message, seconds }) {
    clearInterval(this.#countdown);
    if (state !== find("connection").dataset.state && SPOKEN[state]) setText(find("announcer"), SPOKEN[state]);
    find("connection").dataset.state = state;
    document.documentElement.dataset.connection = state;
    setText(find("connection-text"), WORDS[state]);
    if (state === "lost") return this.#lost(message, seconds);
    this.#since = null;
    if (state === "ended") {
      this.#say("notice", make("strong", {}, "The cluster has ended."), " What is shown is how things stood last.");
    } else if (state === "refused") {
      this.#say("notice notice-failed", make("strong", {}, "The dashboard does not let this page in."), ` ${message}`);
    } else {
      this.#notice?.remove();
      this.#notice = null;
    }
    if (state !== "live") document.title = `${WORDS[state]} · Mobula`;
  }

  #lost(message, seconds) {
    const isNew = this.#since === null;
    this.#since ??= new Date();
    if (isNew) {
      const button = make("button", { type: "button" }, "Try now");
      button.addEventListener("click", this.retry);
      this.when = make("span");
      this.why = make("span");
      const since = this.#since.toLocaleTimeString("en-GB");
      this.#say("notice notice-warning", make("strong", {}, "The connection is lost."), " ", this.why, `What is shown is from ${since}. `, this.when, " ", button);
    }
    setText(this.why, message ? `${message} ` : "The program may have ended, or be too busy to answer. ");
    let left = Math.ceil(seconds);
    const tell = () => setText(this.when, left > 0 ? `The next attempt is in ${left} s.` : "Trying again…");
    tell();
    this.#countdown = setInterval(() => {
      left -= 1;
      tell();
    }, 1000);
    document.title = "connection lost · Mobula";
  }

  #say(kind, ...parts) {
    this.#notice?.remove();
    this.#notice = make("p", { class: kind, role: "note", "data-notice": true }, ...parts);
    find("notices").append(this.#notice);
  }

  snapshot(snapshot) {
    this.#listen(snapshot);
    this.#announce();
    const going = snapshot.runs.filter((run) => run.status === "running");
    const total = going.reduce((sum, run) => sum + run.counts.total, 0);
    const all = going.reduce((sum, run) => sum + ended(run.counts), 0);
    const title = going.length === 0 ? "Mobula" : `${Math.floor((100 * all) / Math.max(total, 1))} % · Mobula`;
    if (document.title !== title) document.title = title;
  }

  /** Finds what has ended or failed since the last snapshot. */
  #listen({ runs, errors }) {
    if (this.#statuses !== null) {
      for (const run of runs) {
        if (run.status === "running" || this.#statuses.get(run.id) === run.status) continue;
        const took = format.seconds(run.ended - run.began);
        const how = run.status === "done" ? `is done, ${counted(run.counts.total, "task")}` : `${run.status}, ${shareText(run.counts)} had ended`;
        this.#news.push(`Run ${run.id} ${how}, after ${took}${run.error ? `: ${run.error}` : ""}.`);
      }
    }
    this.#statuses = new Map(runs.map((run) => [run.id, run.status]));
    const last = errors.at(-1);
    const isNew = last && this.#errors !== null && last.at > this.#errors;
    if (isNew && last.is_final) this.#news.push(`Task ${last.key} failed: ${last.error}.`);
    this.#errors = last?.at ?? 0;
  }

  /** Tells the news, not more often than anybody can listen. */
  #announce() {
    const now = performance.now();
    if (this.#news.length === 0 || now - this.#announced < APART) return;
    this.#announced = now;
    const left = this.#news.length - 3;
    const text = this.#news.slice(-3).join(" ");
    setText(find("announcer"), left > 0 ? `${text} And ${counted(left, "other end", "other ends")} of runs or tasks.` : text);
    this.#news = [];
  }
}
