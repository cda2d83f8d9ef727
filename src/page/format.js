// Numbers as people read them. `MobulaFormat.bytes(1536)` is "1.5 KiB", `.seconds(0.0042)` is "4.2 ms",
// `.count(1234567)` is "1,234,567", `.share(0.256)` is "25.6 %".
"use strict";

(() => {
  const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

  /** At most three digits that tell something: 9.87, 98.7, 987. */
  function short(value) {
    const size = Math.abs(value);
    const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
    return String(Number(value.toFixed(digits)));
  }

  function bytes(value) {
    if (!Number.isFinite(value)) return "–";
    let unit = 0;
    let size = value;
    while (Math.abs(size) >= 1023.5 && unit < BYTES.length - 1) {
      size /= 1024;
      unit += 1;
    }
    return `${unit === 0 ? Math.round(size) : short(size)} ${BYTES[unit]}`;
  }

  function seconds(value) {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size === 0) return "0 s";
    if (size < 0.9995e-6) return `${short(value * 1e9)} ns`;
    if (size < 0.9995e-3) return `${short(value * 1e6)} µs`;
    if (size < 0.9995) return `${short(value * 1e3)} ms`;
    if (size < 59.95) return `${short(value)} s`;
    const sign = value < 0 ? "-" : "";
    const whole = Math.round(size);
    const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(whole / unit));
    const two = (number) => String(number).padStart(2, "0");
    if (hours === 0) return `${sign}${minutes} m ${two(whole % 60)} s`;
    if (days === 0) return `${sign}${hours} h ${two(minutes % 60)} m`;
    return `${sign}${days} d ${two(hours % 24)} h`;
  }

  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  function count(value) {
    return Number.isFinite(value) ? grouped.format(value) : "–";
  }

  function share(value) {
    return Number.isFinite(value) ? `${short(value * 100)} %` : "–";
  }

  /** Round marks on an axis from `low` to `high`, at most `most` of them. */
  function ticks(low, high, most, base = 10) {
    const span = high - low;
    if (!(span > 0) || most < 1) return [low];
    const power = base ** Math.floor(Math.log(span / most) / Math.log(base));
    const steps = base === 2 ? [1, 2] : [1, 2, 5, 10];
    const step = power * (steps.find((factor) => span / (power * factor) <= most) ?? steps.at(-1));
    const marks = [];
    for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at += 1) {
      marks.push(at * step);
    }
    return marks;
  }

  /** Round moments from `low` to `high`: parts of a minute or an hour where the axis is that long. */
  function moments(low, high, most) {
    const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
    const step = high - low < 120 ? undefined : steps.find((size) => (high - low) / size <= most);
    if (step === undefined) return ticks(low, high, most);
    const marks = [];
    for (let at = Math.ceil(low / step); at * step <= high; at += 1) marks.push(at * step);
    return marks;
  }

  /**
   * A moment on an axis whose marks are `step` seconds apart and end at `high`: as many digits as tell marks apart,
   * one unit for the whole axis.
   */
  function moment(value, step, high) {
    const largest = Math.max(Math.abs(high ?? value), step);
    if (largest >= 120) return clock(value, step);
    const [unit, scale] = largest >= 1 ? ["s", 1] : largest >= 1e-3 ? ["ms", 1e3] : largest >= 1e-6 ? ["µs", 1e6] : ["ns", 1e9];
    return `${(value * scale).toFixed(decimals(step * scale))} ${unit}`;
  }

  function decimals(step) {
    return Math.min(9, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  }

  /** 3:07 or 1:03:07, with parts of a second where marks are that close. */
  function clock(value, step) {
    const digits = decimals(Math.min(step, 1));
    const rounded = Number(Math.max(value, 0).toFixed(digits));
    const [hours, minutes] = [Math.floor(rounded / 3600), Math.floor((rounded % 3600) / 60)];
    const rest = (rounded % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  globalThis.MobulaFormat = Object.freeze({ bytes, seconds, count, share, short, ticks, moments, moment });
})();
