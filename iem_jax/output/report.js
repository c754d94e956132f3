"use strict";
const gallery = document.getElementById("gallery");
const cards = Array.from(gallery.children);
const [search, status, sort, direction, count, none, view] =
  ["search", "status", "sort", "direction", "count", "none", "view"].map((id) => document.getElementById(id));
const TEXTS = ["name", "status"];
let ascending = true;
let opened = -1;

const datum = (card, key) => card.dataset[key.replace(/_(.)/g, (_, letter) => letter.toUpperCase())];
const visible = () => Array.from(gallery.children).filter((card) => !card.hidden);

function compare(a, b, key) {
  if (!key) return a.dataset.index - b.dataset.index;
  if (TEXTS.includes(key)) return datum(a, key).localeCompare(datum(b, key), undefined, { numeric: true });
  return datum(a, key) - datum(b, key);
}

function arrange() {
  const key = sort.value;
  const isMissing = (card) => key && (datum(card, key) === undefined || (!TEXTS.includes(key) && Number.isNaN(+datum(card, key))));
  const known = cards.filter((card) => !isMissing(card));
  known.sort((a, b) => compare(a, b, key) || a.dataset.index - b.dataset.index);
  if (!ascending) known.reverse();
  gallery.append(...known, ...cards.filter(isMissing));
}

function filter() {
  const text = search.value.trim().toLowerCase();
  for (const card of cards) {
    card.hidden = !card.dataset.name.toLowerCase().includes(text) || (status.value && card.dataset.status !== status.value);
  }
  const number = visible().length;
  count.textContent = `${number} of ${cards.length}`;
  none.hidden = number > 0;
}

function open(card) {
  opened = visible().indexOf(card);
  document.getElementById("view-name").textContent = card.dataset.name;
  const body = document.getElementById("view-body");
  const facts = document.createElement("dl");
  for (const [key, value] of Object.entries(card.dataset)) {
    if (key === "index" || key === "name") continue;
    const row = document.createElement("div");
    for (const [tag, text] of [["dt", key.replace(/[A-Z]/g, (letter) => " " + letter.toLowerCase())], ["dd", value]]) {
      row.append(Object.assign(document.createElement(tag), { textContent: text }));
    }
    facts.append(row);
  }
  const parts = ["img", "small", ".links"].map((selector) => card.querySelector(selector)?.cloneNode(true)).filter(Boolean);
  parts.forEach((part) => { part.hidden = false; });
  body.replaceChildren(...parts.slice(0, 1), facts, ...parts.slice(1));
  if (!view.open) view.showModal();
}

function turn(by) {
  const shown = visible();
  if (shown.length) open(shown[(opened + by + shown.length) % shown.length]);
}

search.addEventListener("input", filter);
status.addEventListener("change", filter);
sort.addEventListener("change", arrange);
direction.addEventListener("click", () => {
  ascending = !ascending;
  direction.textContent = ascending ? "↑" : "↓";
  direction.setAttribute("aria-label", ascending ? "Ascending" : "Descending");
  arrange();
});
gallery.addEventListener("click", (event) => {
  const card = event.target.closest("article");
  if (card) open(card);
});
gallery.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("article")) open(event.target);
});
view.addEventListener("click", (event) => { if (event.target === view) view.close(); });
view.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") turn(-1);
  if (event.key === "ArrowRight") turn(1);
});
document.getElementById("previous").addEventListener("click", () => turn(-1));
document.getElementById("next").addEventListener("click", () => turn(1));
