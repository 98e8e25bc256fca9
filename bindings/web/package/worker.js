// The model, on a thread of its own. It fetches nothing: the page hands over all bytes.

import { initSync, Recording, VoiceModel } from "./revox_web.js";

let model;
/** What was heard, by number, until the page releases it. */
const heard = new Map();
let last = 0;

const calls = {
  open({ module, bytes }) {
    initSync({ module });
    model = new VoiceModel(bytes);
    const { name, dim, sampleRate, hash, threshold, isCalibrated, prior } = model;
    const rates = [...model.rates];
    const thresholds = rates.map((rate) => ({ rate, threshold: model.thresholdAt(rate) }));
    return { name, dim, sampleRate, hash, threshold, isCalibrated, prior, thresholds };
  },

  decode({ bytes, name }) {
    const recording = new Recording(bytes, name);
    try {
      const { rate } = recording;
      const places = Array.from({ length: recording.channels }, (_, place) => place);
      return { rate, channels: places.map((place) => recording.channel(place)) };
    } finally {
      recording.free();
    }
  },

  hear({ samples, rate }) {
    const utterance = model.hear(samples, rate);
    const id = (last += 1);
    heard.set(id, utterance);
    const { embedding, seconds, speechSeconds, level, clipped, bandwidth, silent } = utterance;
    const { warnings } = utterance;
    return { id, embedding, seconds, speechSeconds, level, clipped, bandwidth, silent, warnings };
  },

  compare({ first, second, prior }) {
    const [a, b] = [first, second].map((id) => heard.get(id));
    const comparison = model.compare(a, b, prior);
    try {
      const { score, llr, probability, prior, threshold, same, warnings } = comparison;
      return { score, llr, probability, prior, threshold, same, warnings };
    } finally {
      comparison.free();
    }
  },

  release({ id }) {
    heard.get(id)?.free();
    heard.delete(id);
  },
};

self.onmessage = ({ data: { id, call, of } }) => {
  try {
    self.postMessage({ id, result: calls[call](of) });
  } catch (error) {
    // After a trap the program's memory is in no known state.
    const isTrap = error instanceof WebAssembly.RuntimeError;
    const message = isTrap ? `the program stopped (${error.message}): load it anew` : error.message;
    self.postMessage({ id, code: isTrap ? "crashed" : "invalid", message });
  }
};
