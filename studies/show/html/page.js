"use strict";
// Each table sorts by the column whose header is pressed; long ones filter, and show their first rows until asked for all.

const SHOWN = 50;

const NUMBER = /(?<![\w.])[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\d+/gi;

// Thousands apart and a minus sign as programs write them.
function plain(text) {
  return text.trim().replace(/,(?=\d{3})/g, "").replace(/\u2212/g, "-");
}

// The number of a cell: the one it begins with, the centre of an interval; "< 0.001" is just below 0.001. "" and "baseline" come last.
function number(text) {
  const found = plain(text).match(/^([<>]?)\s*([+-]?\d\S*)(?: to ([+-]?\d\S*))?/);
  if (!found) return NaN;
  const [low, high] = [found[2], found[3] ?? found[2]].map(Number.parseFloat);
  return (low + high) / 2 - (found[1] === "<" ? Number.EPSILON : 0);
}

// The words and numbers of a name in turn, words first: "sgd lr=1e-05" comes before "sgd lr=0.1", "level 2" before "level 10".
function parts(text) {
  const numbers = plain(text).match(NUMBER) ?? [];
  return plain(text).split(NUMBER).flatMap((word, place) => (place < numbers.length ? [word, Number(numbers[place])] : [word]));
}

function compare(one, other) {
  for (const [place, part] of one.entries()) {
    if (place >= other.length) return 1;
    const order = typeof part === "string" ? part.localeCompare(other[place], "en") : part - other[place];
    if (order) return order;
  }
  return one.length - other.length;
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
    const key = ({ tagName, textContent }) => (tagName === "TD" ? [number(textContent)] : parts(textContent));
    const keyed = rows.map((row) => [key(row.cells[place]), row]);
    const known = keyed.filter(([[value]]) => !Number.isNaN(value)).sort(([one], [other]) => compare(one, other) * (descending ? -1 : 1));
    const unknown = keyed.filter(([[value]]) => Number.isNaN(value));
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
