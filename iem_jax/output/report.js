"use strict";
const [gallery, search, status, confidence, sort, direction, count, none, more, view] =
  ["gallery", "search", "status", "confidence", "sort", "direction", "count", "none", "more", "view"].map((id) =>
    document.getElementById(id));
const TEXTS = ["name", "status"];
const STEP = 120; // cards drawn at a time, if they are not in the page
const collator = new Intl.Collator(undefined, { numeric: true });
const data = document.getElementById("rows");
const rows = data ? readData(JSON.parse(data.textContent)) : Array.from(gallery.children, readCard);
let ordered = rows;
let shown = rows;
let drawn = data ? 0 : rows.length;
let ascending = true;
let opened = -1;

// A row: index, name, status, numbers by column, problem, picture (an address or null), links ([label, address]), card.

function readCard(card) {
  const { index, name, status, ...numbers } = card.dataset;
  const named = Object.entries(numbers).map(([key, text]) => [key.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase()), text]);
  return {
    index: +index, name, status, numbers: Object.fromEntries(named), card,
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
      index, name, status, numbers, problem, labels: columns,
      get picture() { return files.includes("") ? address("", path || name) : null; },
      get links() { return files.filter(Boolean).map((label) => [label, address(label, path || name)]); },
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
  const card = make("article", { tabIndex: 0, role: "button" }, picture,
    make("h3", { title: row.name, textContent: row.name }),
    make("p", {}, make("em", { className: row.status, textContent: row.status }), " ", ...numbers));
  if (row.problem) card.append(make("small", { textContent: row.problem }));
  card.dataset.index = row.index;
  card.dataset.name = row.name;
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
    && (most === null || +row.numbers.confidence <= most));
  count.textContent = `${shown.length} of ${rows.length}`;
  none.hidden = shown.length > 0;
  gallery.replaceChildren();
  drawn = 0;
  draw(data ? STEP : shown.length);
}

function draw(number) {
  gallery.append(...shown.slice(drawn, drawn + number).map(cardOf));
  drawn = Math.min(drawn + number, shown.length);
  watcher.unobserve(more); // and again, since what is still in sight is not said twice
  if (drawn < shown.length) watcher.observe(more);
}

const watcher = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) draw(STEP);
}, { rootMargin: "1500px" });

function open(row) {
  opened = shown.indexOf(row);
  document.getElementById("view-name").textContent = row.name;
  const facts = Object.entries({ status: row.status, ...row.numbers }).map(([key, value]) =>
    make("div", {}, make("dt", { textContent: key.replace("_", " ") }), make("dd", { textContent: value })));
  const parts = [make("dl", {}, ...facts)];
  if (row.picture) parts.unshift(make("img", { alt: "", src: row.picture }));
  if (row.problem) parts.push(make("small", { textContent: row.problem }));
  const links = row.links.map(([label, href]) => make("a", { href, target: "_blank", rel: "noopener", textContent: label }));
  parts.push(make("p", { className: "links" }, ...links));
  document.getElementById("view-body").replaceChildren(...parts);
  if (!view.open) view.showModal();
}

function turn(by) {
  if (shown.length) open(shown[(opened + by + shown.length) % shown.length]);
}

const openCard = (card) => open(rows[card.dataset.index]);

search.addEventListener("input", filter);
status.addEventListener("change", filter);
confidence.addEventListener("input", filter);
sort.addEventListener("change", arrange);
direction.addEventListener("click", () => {
  ascending = !ascending;
  direction.textContent = ascending ? "↑" : "↓";
  direction.setAttribute("aria-label", ascending ? "Ascending" : "Descending");
  arrange();
});
gallery.addEventListener("click", (event) => {
  const card = event.target.closest("article");
  if (card) openCard(card);
});
gallery.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("article")) openCard(event.target);
});
view.addEventListener("click", (event) => { if (event.target === view) view.close(); });
view.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") turn(-1);
  if (event.key === "ArrowRight") turn(1);
});
document.getElementById("previous").addEventListener("click", () => turn(-1));
document.getElementById("next").addEventListener("click", () => turn(1));
if (data) draw(STEP);
