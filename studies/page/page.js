"use strict";
// Each table sorts by the column whose header is pressed; long ones filter, and show their first rows until asked for all.

const SHOWN = 50;

// The number a text begins with, thousands apart: "1,440" and "< 0.001" are numbers, "" and "baseline" come last.
function number(text) {
  const found = text.replace(/,(?=\d{3})/g, "").match(/^[<>\s]*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)/i);
  return found ? Number(found[1]) : NaN;
}

function compare(one, other) {
  return typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
}

function setUp(part) {
  const body = part.querySelector("tbody");
  const heads = [...part.querySelectorAll("thead th")];
  const filter = part.querySelector("input");
  const count = part.querySelector("output");
  const all = part.querySelector(".all");
  const texts = new Map([...body.rows].map((row) => [row, [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ")]));
  let rows = [...body.rows];
  let most = filter ? SHOWN : Infinity;

  function show() {
    const words = filter ? filter.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
    let found = 0;
    for (const row of rows) {
      const fits = words.every((word) => texts.get(row).includes(word));
      found += fits;
      row.hidden = !fits || found > most;
    }
    if (!filter) return;
    const shown = Math.min(found, most);
    count.value = `${shown.toLocaleString("en")} of ${found.toLocaleString("en")} rows` + (words.length ? " that fit" : "");
    all.hidden = found <= SHOWN;
    all.textContent = most === Infinity ? `Show the first ${SHOWN}` : `Show all ${found.toLocaleString("en")}`;
  }

  function sort(place) {
    const descending = heads[place].getAttribute("aria-sort") === "ascending";
    const key = (row) => (row.cells[place].tagName === "TD" ? number(row.cells[place].textContent) : row.cells[place].textContent);
    const keyed = rows.map((row) => [key(row), row]);
    const known = keyed.filter(([value]) => !Number.isNaN(value)).sort(([one], [other]) => compare(one, other) * (descending ? -1 : 1));
    const unknown = keyed.filter(([value]) => Number.isNaN(value));
    rows = [...known, ...unknown].map(([, row]) => row);
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    heads[place].setAttribute("aria-sort", descending ? "descending" : "ascending");
    body.append(...rows);
    show();
  }

  heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => sort(place)));
  if (filter) {
    filter.addEventListener("input", show);
    all.addEventListener("click", () => {
      most = most === Infinity ? SHOWN : Infinity;
      show();
    });
  }
  show();
}

document.querySelectorAll(".table").forEach(setUp);
