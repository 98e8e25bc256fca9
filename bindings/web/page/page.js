// The page: two recordings and an answer, and voices that are told apart.

import { Card } from "./card.js";
import { load } from "./revox/index.js";
import { show, showNone } from "./verdict.js";
import { Voices } from "./voices.js";
import { words } from "./words.js";

const part = (id) => document.getElementById(id);

/** The model, once it is there. */
let revox;
const current = () => revox;

const cards = ["first", "second"].map((id) => new Card(part(id), current, answer));
const voices = new Voices(current);

/** Counts answers: one that is overtaken is dropped. */
let turn = 0;

async function answer() {
  const mine = (turn += 1);
  const heard = cards.map((card) => card.heard);
  const there = heard.filter((one) => one !== undefined).length;
  if (there < 2) {
    showNone({ one: there === 1 });
    return;
  }
  try {
    const comparison = await revox.compare(...heard, { prior: prior() });
    if (mine === turn) show(comparison, revox.info);
  } catch (error) {
    if (mine === turn) showNone({ error });
  }
}

/** The prior that is typed, if it is one: else the model's own counts. */
function prior() {
  const share = part("prior").valueAsNumber / 100;
  return share > 0 && share < 1 ? share : undefined;
}

part("prior").addEventListener("change", answer);

/** Loads a model and hears by it what was heard before. */
async function open(file) {
  const state = part("state");
  state.classList.remove("failed");
  state.textContent = "Loading the model …";
  try {
    const next = await load(file ? { model: await file.arrayBuffer() } : {});
    revox?.close();
    revox = next;
    state.textContent = "";
  } catch (error) {
    state.classList.add("failed");
    state.textContent = words(error);
    if (error.code === "no-simd") {
      state.textContent =
        "This browser cannot run the model: it lacks WebAssembly’s vector instructions (SIMD). " +
        "A current Chrome, Edge, Firefox or Safari has them.";
    }
    return;
  }
  const { name, hash, prior } = revox.info;
  const whose = file ? `Your model ${file.name}` : "The model that revox ships";
  part("about").textContent = `${whose}: ${name}, SHA-256 ${hash.slice(0, 16)}…`;
  part("shipped-model").hidden = file === undefined;
  part("prior").value = Number((100 * prior).toPrecision(3));
  for (const one of [...cards, voices]) one.enabled = true;
  await Promise.all([...cards, voices].map((one) => one.rehear()));
}

part("choose-model").addEventListener("click", () => part("model-file").click());
part("shipped-model").addEventListener("click", () => open());
part("model-file").addEventListener("change", ({ target }) => {
  if (target.files.length > 0) open(target.files[0]);
  target.value = "";
});

// A file that misses a card would else replace the page.
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => event.preventDefault());
}

await open();

// Kept for the next visit, without a network. Browsers refuse it to pages over plain http.
if (revox) navigator.serviceWorker?.register("service-worker.js").catch(() => undefined);
