// What the page says.

/** Something that a person can mend. Its message is shown as it is. */
export class Refusal extends Error {}

/** An error in words. Those of the library are told of "the recording". */
export function words(error) {
  if (error instanceof Refusal) return error.message;
  if (error.code === "crashed") return "The program stopped. Reload the page to go on.";
  const { message } = error;
  return `${message[0].toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

/** A sentence's beginning. */
export const begun = (text) => `${text[0].toUpperCase()}${text.slice(1)}`;

/** Seconds, for people. */
export const seconds = (number) => `${number.toFixed(1)} s`;

/** A share for people. Certainty is never claimed. */
export function percent(share) {
  const number = 100 * share;
  if (number < 0.1) return "below 0.1 %";
  if (number > 99.9) return "above 99.9 %";
  return `${number.toFixed(number < 10 || number > 90 ? 1 : 0)} %`;
}

/** How many pairs of different voices score so high, by what the model measured. */
export function rarity(score, thresholds) {
  const reached = thresholds.filter(({ threshold }) => score >= threshold);
  const { rate } = reached.at(-1) ?? thresholds[0] ?? {};
  if (rate === undefined) return "";
  const share = `${reached.length > 0 ? "at most" : "more than"} 1 in ${Math.round(1 / rate)}`;
  return `In its tests, ${share} pairs of different voices scored so high.`;
}
