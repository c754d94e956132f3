// The review: a decision a picture, kept in this browser for this report, and saved as review.csv.

const DECISIONS = { accept: "accepted", invert: "inside out", reject: "rejected" };
const KEYS = {
  a: "accept", i: "invert", r: "reject", u: "undo", n: "next", p: "previous", ArrowRight: "next", ArrowLeft: "previous",
};
const [bar, left, said, unkept, save, load, loaded] =
  ["bar", "left", "said", "unkept", "save", "load", "loaded"].map((id) => document.getElementById(id));
const header = document.querySelector("header");
const PLACE = `iem_jax ${hash(gallery.dataset.run + location.pathname)} `; // of this report alone, and short: storage is small
const past = []; // steps that can be undone: lists of [row, the decision before]
const reviewable = rows.filter((row) => row.status !== "failed");
let undecided = reviewable.length;
let isSaved = true; // as a file, or in the browser

function hash(text) {
  let value = 2166136261; // FNV-1a
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0), 16777619);
  return (value >>> 0).toString(36);
}

function decisionOf(row) {
  return row.decision || (row.status === "failed" ? "" : "undecided");
}

function say(text) {
  said.textContent = text;
}

// What the browser keeps: one entry a picture, so that a key press writes one and tabs do not overwrite each other.

function findStorage() {
  try {
    return localStorage;
  } catch { // in a sandbox, or where the user forbids it
    return null;
  }
}

const storage = findStorage();

function keep(row) {
  try {
    if (row.decision) storage.setItem(PLACE + row.path, row.decision);
    else storage.removeItem(PLACE + row.path);
  } catch { // there is none, or it is full
    unkept.hidden = false;
    isSaved = false;
  }
}

function recall() {
  for (const row of storage?.length ? reviewable : []) {
    const found = storage.getItem(PLACE + row.path);
    if (found in DECISIONS) set(row, found);
  }
}

// Decisions

function set(row, decision) {
  undecided += !decision - !row.decision;
  row.decision = decision;
  paint(row);
}

function paint(row) {
  if (row.card) show(row.card, row);
}

function show(element, row) {
  element.className = row.decision;
  element.querySelector(".decision")?.remove();
  if (row.decision) element.prepend(make("b", { className: "decision", textContent: DECISIONS[row.decision] }));
}

function change(step) {
  past.push(step.map(([row]) => [row, row.decision]));
  apply(step);
}

function apply(step) {
  for (const [row, decision] of step) {
    set(row, decision);
    keep(row);
  }
  tell();
}

function tell() {
  left.textContent = undecided ? `${undecided} left` : "none left: save review.csv";
  bar.querySelector("[data-act=undo]").disabled = !past.length;
}

function decide(decision) {
  const row = shown[at];
  if (!row) return;
  if (!view.open && !isInSight(row.card)) { // nobody decides on what is not seen
    say(`Here is the current picture, ${row.name}.`);
    return moveTo(at);
  }
  if (row.status === "failed") say(`${row.name} has no mask: there is nothing to decide.`);
  else {
    say(`${row.name}: ${DECISIONS[decision]}.`);
    change([[row, decision]]);
  }
  moveTo(at + 1);
}

function isInSight(card) {
  const { top, bottom } = card.getBoundingClientRect();
  return top + bottom > 0 && top + bottom < 2 * innerHeight;
}

function undo() {
  const step = past.pop();
  if (!step) return say("There is nothing to undo.");
  apply(step);
  const [row, decision] = step[0];
  say(step.length === 1 ? `${row.name}: ${DECISIONS[decision] ?? "undecided"} again.` : `${step.length} decisions undone.`);
  const place = shown.indexOf(row);
  if (place >= 0) moveTo(place);
}

// review.csv: name,decision; names have the bytes that they have as files, whatever their encoding.

function bytesOf(row) {
  return row.path.replace(/%(..)/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
}

function writeReview() {
  const lines = rows.filter((row) => row.decision).map((row) => {
    const name = bytesOf(row);
    return `${/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name},${row.decision}\n`;
  });
  return Uint8Array.from(["name,decision\n", ...lines].join(""), (letter) => letter.charCodeAt(0));
}

function readReview(bytes) {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("").replace(/^\xef\xbb\xbf/, "");
  const lines = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/y;
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (!found) throw new Error(`line ${lines.length} cannot be read`);
    lines.at(-1).push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
    if (found[3] !== ",") lines.push([]);
  }
  const [head, ...others] = lines.filter((line) => line.join());
  if (String(head) !== "name,decision") throw new Error("its first line must be name,decision");
  for (const [, decision] of others) {
    if (!Object.hasOwn(DECISIONS, decision)) throw new Error(`"${decision}" is none of accept, invert and reject`);
  }
  return others;
}

async function loadReview(file) {
  try {
    const byName = new Map(reviewable.map((row) => [bytesOf(row), row]));
    const lines = readReview(new Uint8Array(await file.arrayBuffer()));
    const step = lines.filter(([name]) => byName.has(name)).map(([name, decision]) => [byName.get(name), decision]);
    if (step.length) change(step);
    const strangers = lines.length - step.length;
    say(`${step.length} decisions loaded${strangers ? `; ${strangers} are of pictures that are not here` : ""}.`);
    if (view.open) fill();
  } catch (error) {
    say(`${file.name} is not used: ${error.message}.`);
  }
}

function saveReview() {
  const address = URL.createObjectURL(new Blob([writeReview()], { type: "text/csv" }));
  make("a", { href: address, download: "review.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000); // when the browser has surely taken it
  isSaved = true;
  say(`${reviewable.length - undecided} decisions saved; run.py --apply_review=review.csv --output_dir=OUT applies them.`);
}

const ACTS = { undo, next: () => moveTo(at + 1), previous: () => moveTo(at - 1) };
for (const name of Object.keys(DECISIONS)) ACTS[name] = () => decide(name);

bar.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) ACTS[button.dataset.act]();
});
let isByPointer = false;
document.addEventListener("pointerdown", () => { isByPointer = true; });
header.addEventListener("change", (event) => {
  if (!isByPointer || !event.target.matches("select")) return;
  event.target.blur(); // so that keys decide from here on
  marked?.focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  isByPointer = false;
  if (event.target === search && event.key === "Enter") return marked?.focus();
  if (event.target.matches("input, select") || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && key === "z";
  const act = isUndo ? "undo" : event.ctrlKey || event.metaKey ? undefined : KEYS[key];
  if (!act || (event.repeat && act in DECISIONS)) return; // a key that is held down decides once
  event.preventDefault();
  ACTS[act]();
});
save.addEventListener("click", saveReview);
load.addEventListener("click", () => loaded.click());
loaded.addEventListener("change", async () => {
  if (loaded.files.length) await loadReview(loaded.files[0]);
  loaded.value = ""; // the same file may be chosen again
});
addEventListener("storage", (event) => { // another tab decided
  const row = reviewable.find((row) => PLACE + row.path === event.key);
  if (row) set(row, event.newValue ?? "");
  tell();
});
addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });

history.scrollRestoration = "manual";
const observer = new ResizeObserver(() => { // the current picture is scrolled to between header and buttons
  const above = getComputedStyle(header).position === "sticky" ? header.offsetHeight : 0;
  document.documentElement.style.scrollPadding = `${above + 8}px 0 ${bar.offsetHeight + 8}px`;
});
observer.observe(header);
observer.observe(bar);
unkept.hidden = storage !== null;
recall();
tell();
drawFrom(0);
mark(Math.max(rows.findIndex((row) => decisionOf(row) === "undecided"), 0)); // go on where it was left
if (at) marked.scrollIntoView({ block: "center" });
