// The dashboard: takes what the cluster tells and hands it to the panels, at most four times a second.

import { Figures, Palette, counted, find, format, rate, setText } from "./elements.js";
import { Errors } from "./errors.js";
import { Flow } from "./flow.js";
import { Graph } from "./graph.js";
import { Connection } from "./live.js";
import { Lookup } from "./lookup.js";
import { Memory, Pace } from "./memory.js";
import { Notices } from "./notices.js";
import { Runs } from "./runs.js";
import { States, Workers } from "./workers.js";

/** How far apart two changes of the page are at least, in milliseconds. */
const APART = 250;
/** What workers did is read for so long at a time, in milliseconds, and so many events of it wait at most. */
const BUDGET = 12;
const WAITING = 64;

const palette = new Palette();
const lookup = new Lookup();
const lookUp = (key) => lookup.show(key);
const runs = new Runs(palette);
const flow = new Flow(palette);
const errors = new Errors(lookUp);
const memory = new Memory();
const pace = new Pace();
const workers = new Workers(lookUp);
const states = new States();
const graph = new Graph(palette, lookUp);
const totals = new Figures(find("totals"), "data-total", [
  ["rate", "Tasks per second"],
  ["tasks", "Tasks done"],
  ["cached", "Cached"],
  ["failed", "Failed"],
  ["runs", "Runs"],
  ["busy", "Workers in tasks"],
]);
const incidents = new Figures(find("incident-figures"), "data-incident", [
  ["retried", "Attempts made again"],
  ["workers_lost", "Workers lost"],
  ["spilled", "Values moved to disk"],
  ["restored", "Values that came back"],
  ["unseen", "Tasks not measured"],
]);

let snapshotText = null;
let blockTexts = [];
let timer = 0;
let changedAt = -Infinity;

const connection = new Connection({
  snapshot(text) {
    // Only the last one counts; the others are not even read.
    snapshotText = text;
    schedule(APART - (performance.now() - changedAt));
  },
  blocks(text) {
    blockTexts.push(text);
    if (blockTexts.length > WAITING) blockTexts.shift();
    schedule(APART - (performance.now() - changedAt));
  },
  state(state, how) {
    notices.connection(state, how);
  },
});
const notices = new Notices(connection);

function schedule(after) {
  if (timer === 0) timer = setTimeout(work, Math.max(0, after));
}

function work() {
  timer = 0;
  if (snapshotText !== null) {
    changedAt = performance.now();
    const text = snapshotText;
    snapshotText = null;
    render(JSON.parse(text));
    // The browser may breathe before what workers did is read.
    if (blockTexts.length > 0) schedule(0);
    return;
  }
  const began = performance.now();
  while (blockTexts.length > 0 && performance.now() - began < BUDGET) flow.blocks(JSON.parse(blockTexts.shift()));
  if (blockTexts.length > 0) schedule(4);
}

function render(snapshot) {
  // Colours are given out in the order in which prefixes come.
  for (const run of snapshot.runs) for (const { name } of run.prefixes) palette.place(name);
  runs.update(snapshot);
  flow.snapshot(snapshot);
  errors.update(snapshot);
  memory.update(snapshot);
  const perSecond = pace.update(snapshot);
  const { busy, all } = workers.update(snapshot);
  states.update(snapshot);
  graph.update(snapshot);
  notices.snapshot(snapshot);
  head(snapshot, perSecond, busy, all);
}

function head({ version, pid, at, totals: sums, runs: list }, perSecond, busy, all) {
  setText(find("version"), version);
  setText(find("process"), `process ${pid}, up for ${format.seconds(at < 120 ? Math.floor(at) : at)}`);
  totals.set("rate", perSecond, rate(perSecond), "now");
  totals.set("tasks", sums.tasks, format.count(sums.tasks), counted(sums.retried, "retry", "retries"));
  totals.set("cached", sums.cached, format.count(sums.cached), "answered by callbacks");
  totals.set("failed", sums.failed, format.count(sums.failed), sums.failed === 0 ? "none for good" : "for good");
  find("totals").querySelector("[data-total=failed]").dataset.bad = sums.failed > 0;
  const going = list.filter((run) => run.status === "running").length;
  const ends = [[going, "running"], [sums.runs_done, "done"], [sums.runs_failed, "failed"], [sums.runs_cancelled, "cancelled"]];
  const words = ends.filter(([count]) => count > 0).map(([count, word]) => `${format.count(count)} ${word}`);
  totals.set("runs", sums.runs, format.count(sums.runs), words.join(", ") || "none yet");
  totals.set("busy", busy, `${format.count(busy)} of ${format.count(all)}`, all === 0 ? "none yet" : "right now");
  incidents.set("retried", sums.retried, format.count(sums.retried));
  incidents.set("workers_lost", sums.workers_lost, format.count(sums.workers_lost));
  incidents.set("spilled", sums.spilled, format.count(sums.spilled), format.bytes(sums.spilled_bytes));
  incidents.set("restored", sums.restored, format.count(sums.restored), format.bytes(sums.restored_bytes));
  incidents.set("unseen", sums.unseen, format.count(sums.unseen), "counted, but too many at once to time");
}

connection.open();
