// A box of the graph: a task, or all tasks with one key prefix. It can be pointed at and stepped to by keyboard.

import { format, setAttribute, setText } from "./elements.js";

/** By the number that the server says: the name for style sheets, and the one for people. */
const STATES = ["waiting", "running", "done", "cached", "failed", "skipped", "unneeded"];
const NAMES = ["waiting", "running", "done", "cached", "failed", "skipped", "not needed"];
const RUNNING = 1;

const NAMESPACE = "http://www.w3.org/2000/svg";

export function drawn(name, attributes = {}) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** `[name for style sheets, name for people]` of each state. */
export function states() {
  return STATES.map((state, place) => [state, NAMES[place]]);
}

/** A label that fits. Keys of one prefix differ at their end, so that is kept. */
function shortened(label, width) {
  // Letters are about 6.65 wide.
  const room = Math.max(4, Math.floor(width / 6.65));
  if (label.length <= room) return label;
  const tail = Math.floor(room * 0.45);
  return `${label.slice(0, room - 1 - tail)}…${label.slice(-tail)}`;
}

export class Node {
  #state = -1;

  constructor({ x, y, w, h, label, prefix, task, tasks, state }, palette) {
    Object.assign(this, { x, y, w, h, label, prefix, task });
    // Only tasks can be looked up.
    this.element = drawn("g", { class: "node", role: task === null ? "img" : "button", tabindex: "-1" });
    this.element.setAttribute("data-node", label);
    const [left, top, radius] = [x - w / 2, y - h / 2, Math.min(6, h / 4)];
    this.title = drawn("title");
    this.element.append(this.title, drawn("rect", { x: left, y: top, width: w, height: h, rx: radius, class: "shape" }));
    if (task === null && tasks > 1) {
      this.fill = drawn("rect", { x: left, y: top, width: 0, height: h, rx: radius, class: "fill" });
      this.element.append(this.fill);
    }
    const mark = drawn("rect", { x: left + 4, y: top + 4, width: 4, height: h - 8, rx: 2 });
    mark.style.fill = `var(--prefix-${palette.place(prefix) % 12})`;
    const text = drawn("text", { x: x + 4, y });
    text.textContent = shortened(label, w - 16);
    this.element.append(mark, text);
    this.become(state);
  }

  get isRunning() {
    return this.#state === RUNNING;
  }

  become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.element.setAttribute("data-state", STATES[state] ?? "waiting");
    this.#tell(NAMES[state] ?? "waiting");
  }

  #tell(words) {
    setText(this.title, `${this.label}\n${words}`);
    setAttribute(this.element, "aria-label", `${this.label}, ${words}`);
  }

  /** All tasks with one prefix: as many as have ended are filled in. */
  count(counts) {
    const ended = counts.done + counts.cached;
    let state = 0;
    if (counts.failed > 0) state = 4;
    else if (counts.total > 0 && ended === counts.total) state = counts.done === 0 ? 3 : 2;
    else if (counts.skipped > 0) state = 5;
    else if (counts.running > 0 || ended > 0) state = RUNNING;
    this.become(state);
    const share = counts.total > 0 ? ended / counts.total : 0;
    this.fill?.setAttribute("width", (this.w * share).toFixed(1));
    this.#tell(`${format.count(ended)} of ${format.count(counts.total)} done, ${format.count(counts.failed)} failed`);
  }
}

/** The nearest node in a direction: in the same row, or in another one, mostly straight on. */
export function beside(nodes, from, key) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  let best = null;
  let least = Infinity;
  for (const node of nodes) {
    const [dx, dy] = [node.x - from.x, node.y - from.y];
    const ahead = dx * way[0] + dy * way[1];
    const aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
    const isInRow = Math.abs(dy) < from.h / 2;
    if (node === from || ahead <= 0 || isInRow !== (way[1] === 0)) continue;
    const distance = ahead + 3 * aside;
    if (distance < least) [best, least] = [node, distance];
  }
  return best;
}
