// Tables that sort by a click on a column's head: `MobulaTables.sortable(table)`. Each `th` that sorts has `data-sort`,
// "text" or "number"; a cell's value is its `data-value`, or else its text. Numbers start with the largest.
"use strict";

(() => {
  const { make } = globalThis.MobulaSurface;

  function value(row, column, kind) {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent;
    return kind === "number" ? Number(text) : text;
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const kind = head.dataset.sort;
      if (!kind) return;
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.replaceChildren(button);
      if (!head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const first = kind === "number" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        for (const one of heads) if (one.dataset.sort) one.setAttribute("aria-sort", one === head ? order : "none");
        sort(table, column, kind, order === "ascending" ? 1 : -1);
      });
    });
  }

  function sort(table, column, kind, sign) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, key: value(row, column, kind) }));
    const compare = kind === "number" ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
    rows.sort((a, b) => sign * compare(a.key, b.key));
    body.append(...rows.map(({ row }) => row));
  }

  globalThis.MobulaTables = Object.freeze({ sortable });
})();
