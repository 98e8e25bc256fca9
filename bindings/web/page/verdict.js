// The answer about two recordings.

import { begun, percent, rarity, words } from "./words.js";

const part = (id) => document.getElementById(id);

/** Shows that there is no answer yet, or why there is none. */
export function showNone({ one = false, error } = {}) {
  const box = part("verdict");
  box.classList.remove("told", "same", "different");
  part("figures").hidden = true;
  part("answer").textContent = error
    ? "No answer."
    : one
      ? "One more recording."
      : "Two recordings, then the answer.";
  part("because").textContent = error
    ? words(error)
    : "A few seconds of speech in each are enough.";
}

/** Shows what a model says. */
export function show(comparison, info) {
  const { score, probability, prior, threshold, same, warnings } = comparison;
  const box = part("verdict");
  box.classList.add("told");
  box.classList.toggle("same", same === true);
  box.classList.toggle("different", same === false);
  part("answer").textContent =
    same === undefined ? "No decision." : same ? "The same voice." : "Different voices.";
  part("because").textContent = reason(comparison, info);

  part("figures").hidden = false;
  part("score").textContent = score.toFixed(3);
  part("decides-box").hidden = threshold === undefined;
  part("decides").textContent = threshold?.toFixed(3) ?? "";
  part("probability-box").hidden = part("prior-box").hidden = probability === undefined;
  part("probability").textContent = probability === undefined ? "" : percent(probability);
  place(score, probability, threshold);

  part("doubts").hidden = warnings.length === 0;
  part("doubt-list").replaceChildren(
    ...warnings.map((warning) => {
      const item = document.createElement("li");
      item.textContent = `${begun(warning)}.`;
      return item;
    }),
  );
  box.dataset.score = score;
  if (prior !== undefined) box.dataset.probability = probability;
}

function reason({ score, probability, prior, threshold, same }, { thresholds }) {
  if (probability !== undefined) {
    const before = `if it was ${percent(prior)} before listening`;
    return `One voice is ${percent(probability)} probable, ${before}.`;
  }
  if (same === undefined) return "This model has no threshold: it gives scores and no decisions.";
  const side = same ? "reaches" : "stays below";
  const rare = same ? rarity(score, thresholds) : "";
  const border = `${threshold.toFixed(2)}, where one voice begins`;
  return `The score ${score.toFixed(2)} ${side} ${border}. ${rare}`;
}

/** Puts the mark on the scale: of probabilities, or of scores from 0 to 1. */
function place(score, probability, threshold) {
  const at = probability ?? Math.min(1, Math.max(0, score));
  part("at").style.left = `${100 * at}%`;
  part("border").hidden = probability === undefined && threshold === undefined;
  part("border").style.left = `${100 * (probability === undefined ? (threshold ?? 0) : 0.5)}%`;
  part("scale").setAttribute(
    "aria-label",
    probability === undefined
      ? `Score ${score.toFixed(3)} on a scale from 0, different, to 1, same`
      : `Probability ${percent(probability)}`,
  );
}
