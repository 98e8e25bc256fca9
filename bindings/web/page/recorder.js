// Recordings by the microphone, by one button.

import { openMicrophone } from "./microphone.js";
import { Refusal } from "./words.js";

/** Longer ones come from files. */
const MOST_SECONDS = 60;
/** How often a recording is shown, ms. Pieces come more often, and each drawing looks at all. */
const SHOWN_EVERY = 200;

/** Samples that come in pieces. */
export class Pieces {
  #all = [];
  length = 0;

  add(piece) {
    this.#all.push(piece);
    this.length += piece.length;
  }

  /** The last so many samples, or all. */
  last(most = this.length) {
    const joined = new Float32Array(this.length);
    let place = 0;
    for (const piece of this.#all) {
      joined.set(piece, place);
      place += piece.length;
    }
    return joined.subarray(Math.max(0, this.length - most));
  }

  /** Forgets the pieces that the last so many samples do not need. */
  keep(most) {
    while (this.#all.length > 0 && this.length - this.#all[0].length >= most) {
      this.length -= this.#all.shift().length;
    }
  }
}

/** A button that records: `heard` gets what is there so far, `done` all, `failed` an error. */
export class Recorder {
  #button;
  #told;
  #label;
  #microphone;
  #isOpening = false;
  #pieces;
  #shown = 0;
  #taken = () => this.stop();

  constructor(button, told) {
    this.#button = button;
    this.#told = told;
    this.#label = button.textContent;
    button.addEventListener("click", () => (this.#microphone ? this.stop() : this.#start()));
  }

  async #start() {
    // The button stays enabled meanwhile: a disabled one loses the keyboard's focus.
    if (this.#isOpening || this.#told.begun?.() === false) return;
    this.#pieces = new Pieces();
    this.#isOpening = true;
    try {
      this.#microphone = await openMicrophone((piece) => this.#take(piece), this.#taken);
      this.#show(true);
    } catch (error) {
      this.#told.failed(error);
    } finally {
      this.#isOpening = false;
    }
  }

  #take(piece) {
    this.#pieces.add(piece);
    // The first pieces may come before the microphone is known here.
    const rate = this.#microphone?.rate;
    if (rate === undefined) return;
    if (performance.now() - this.#shown >= SHOWN_EVERY) {
      this.#told.heard(this.#pieces.last(), rate);
      this.#shown = performance.now();
    }
    if (this.#pieces.length >= MOST_SECONDS * rate) this.stop();
  }

  /** Ends the recording. */
  async stop({ keep = true } = {}) {
    const microphone = this.#microphone;
    if (!microphone) return;
    this.#microphone = undefined;
    this.#show(false);
    await microphone.close();
    if (!keep) return;
    if (this.#pieces.length === 0) {
      this.#told.failed(new Refusal("Nothing was recorded: the microphone gave no sound."));
    } else {
      this.#told.done(this.#pieces.last(), microphone.rate);
    }
  }

  #show(isOn) {
    this.#button.textContent = isOn ? "Stop" : this.#label;
    this.#button.classList.toggle("on", isOn);
  }
}
