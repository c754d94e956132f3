"use strict";
const [gallery, search, status, confidence, decision, sort, direction, count, none, earlier, more, view] =
  ["gallery", "search", "status", "confidence", "decision", "sort", "direction", "count", "none", "earlier", "more", "view"]
    .map((id) => document.getElementById(id));
const TEXTS = ["name", "status"];
const collator = new Intl.Collator(undefined, { numeric: true });
const data = document.getElementById("rows");
const rows = data ? readData(JSON.parse(data.textContent)) : Array.from(gallery.children, readCard);
const STEP = data ? 120 : rows.length; // cards drawn at a time
let ordered = rows;
let shown = rows;
let first = 0; // cards of shown[first], ..., shown[drawn - 1] are in the page
let drawn = 0;
let at = 0; // the current picture's place among those that are shown
let ascending = true;

// A row: index, name, path (the name's bytes, percent-encoded), status, decision ("" for none), numbers by column, problem,
// picture (an address or null), links ([label, address]), card (once it was drawn).

function readCard(card) {
  const { index, name, path, status, ...numbers } = card.dataset;
  const named = Object.entries(numbers).map(([key, text]) => [key.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase()), text]);
  return {
    index: +index, name, path: path ?? name, status, decision: "", numbers: Object.fromEntries(named), card,
    problem: card.querySelector("small")?.textContent,
    picture: card.querySelector("img")?.src,
    links: Array.from(card.querySelectorAll(".links a"), (link) => [link.textContent, link.getAttribute("href")]),
  };
}

function readData({ columns, patterns, rows }) {
  const keys = Object.keys(columns);
  const address = (label, path) => patterns[label].replace("{}", () => path);
  return rows.map(([name, status, values, files, problem, path], index) => {
    const numbers = {};
    values.forEach((value, column) => { if (value !== null) numbers[keys[column]] = value; });
    return {
      index, name, path: path || name, status, decision: "", numbers, problem, labels: columns,
      get picture() { return files.includes("") ? address("", this.path) : null; },
      get links() { return files.filter(Boolean).map((label) => [label, address(label, this.path)]); },
    };
  });
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function cardOf(row) {
  if (row.card) return row.card;
  const numbers = Object.entries(row.numbers).slice(0, 3).map(([key, value]) =>
    make("span", {}, `${row.labels[key]} `, make("b", { textContent: value.toFixed(3) })));
  const picture = row.picture
    ? make("img", { loading: "lazy", decoding: "async", alt: "", src: row.picture })
    : make("div", { className: "absent", textContent: "no picture" });
  const card = make("article", { tabIndex: -1, role: "button" }, picture,
    make("h3", { title: row.name, textContent: row.name }),
    make("p", {}, make("em", { className: row.status, textContent: row.status }), " ", ...numbers));
  if (row.problem) card.append(make("small", { textContent: row.problem }));
  card.dataset.index = row.index;
  card.dataset.name = row.name;
  row.card = card;
  paint(row);
  return card;
}

function valueOf(row, key) {
  return TEXTS.includes(key) ? row[key] : row.numbers[key];
}

function compare(a, b, key) {
  if (!key) return a.index - b.index;
  return TEXTS.includes(key) ? collator.compare(a[key], b[key]) : a.numbers[key] - b.numbers[key];
}

function arrange() {
  const key = sort.value;
  const isMissing = (row) => key && valueOf(row, key) === undefined;
  const known = rows.filter((row) => !isMissing(row));
  known.sort((a, b) => compare(a, b, key) || a.index - b.index);
  if (!ascending) known.reverse();
  ordered = [...known, ...rows.filter(isMissing)];
  filter();
}

function filter() {
  const text = search.value.trim().toLowerCase();
  const most = confidence.value === "" ? null : +confidence.value;
  shown = ordered.filter((row) => row.name.toLowerCase().includes(text)
    && (!status.value || row.status === status.value)
    && (!decision.value || decisionOf(row) === decision.value)
    && (most === null || +row.numbers.confidence <= most));
  count.textContent = `${shown.length} of ${rows.length}`;
  none.hidden = shown.length > 0;
  drawFrom(0);
  mark(0);
}

function drawFrom(place) {
  gallery.replaceChildren();
  first = drawn = place;
  earlier.hidden = place === 0;
  draw();
}

function draw() {
  gallery.append(...shown.slice(drawn, drawn + STEP).map(cardOf));
  drawn = Math.min(drawn + STEP, shown.length);
  watcher.unobserve(more); // and again, since what is still in sight is not said twice
  if (drawn < shown.length) watcher.observe(more);
}

const watcher = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) draw();
}, { rootMargin: "1500px" });

let marked = null;

function mark(place) {
  at = place;
  if (marked) {
    marked.removeAttribute("aria-current");
    marked.tabIndex = -1;
  }
  marked = null;
  if (!shown.length) return;
  if (at < first || at >= drawn + STEP) drawFrom(at - (at % STEP));
  if (at >= drawn) draw();
  marked = shown[at].card;
  marked.setAttribute("aria-current", "true");
  marked.tabIndex = 0; // the only card that Tab stops at: there may be thousands
}

function moveTo(place) {
  const wasOnCard = document.activeElement === document.body || document.activeElement.matches("article");
  mark(Math.max(Math.min(place, shown.length - 1), 0));
  if (view.open) return fill();
  marked?.scrollIntoView({ block: "nearest" });
  if (wasOnCard) marked?.focus({ preventScroll: true });
}

function open(place) {
  mark(place);
  if (!view.open) view.showModal();
  view.append(bar); // what is outside of the dialog cannot be reached
  fill();
}

function fill() {
  const row = shown[at];
  if (!row) return view.close();
  document.getElementById("view-name").textContent = row.name;
  const facts = Object.entries({ status: row.status, ...row.numbers }).map(([key, value]) =>
    make("div", {}, make("dt", { textContent: key.replace("_", " ") }), make("dd", { textContent: value })));
  const parts = [make("dl", {}, ...facts)];
  const overlay = overlayOf(row);
  if (overlay && row.decision !== "invert") {
    parts.unshift(make("img", { className: "whole", alt: "", src: overlay }), make("p", {}, "The mask as it is in overlays/"));
  } else if (row.picture) parts.unshift(make("div", { className: "halves" }, halfOf(row), halfOf(row)));
  if (row.problem) parts.push(make("small", { textContent: row.problem }));
  const links = row.links.map(([label, href]) => make("a", { href, target: "_blank", rel: "noopener", textContent: label }));
  parts.push(make("p", { className: "links" }, ...links));
  document.getElementById("view-body").replaceChildren(...parts);
  show(view, row);
  const next = overlayOf(shown[at + 1]);
  if (next) new Image().src = next; // so that it is there at the next key
}

function overlayOf(row) {
  return row?.links.find(([label]) => label === "overlay")?.[1];
}

function halfOf(row) {
  return make("div", { className: "half" }, make("img", { alt: "", src: row.picture }));
}

search.addEventListener("input", filter);
for (const choice of [status, decision]) choice.addEventListener("change", filter);
confidence.addEventListener("input", filter);
sort.addEventListener("change", arrange);
direction.addEventListener("click", () => {
  ascending = !ascending;
  direction.textContent = ascending ? "↑" : "↓";
  direction.setAttribute("aria-label", ascending ? "Ascending" : "Descending");
  arrange();
});
earlier.addEventListener("click", () => {
  const place = first - 1;
  drawFrom(Math.max(first - STEP, 0));
  moveTo(place);
});
gallery.addEventListener("click", (event) => {
  const card = event.target.closest("article");
  if (card) open(shown.indexOf(rows[card.dataset.index]));
});
document.addEventListener("keydown", (event) => {
  const isOnCard = event.target.matches("article");
  if (!(event.key === "Enter" && (isOnCard || event.target === document.body)) && !(event.key === " " && isOnCard)) return;
  event.preventDefault(); // or Enter would press the button that has the focus next
  if (shown.length) open(at);
});
view.addEventListener("click", (event) => { if (event.target === view) view.close(); });
view.addEventListener("close", () => {
  view.after(bar);
  moveTo(at);
  marked?.focus({ preventScroll: true });
});
