// Enrolled voices, and who of them speaks.

import { openMicrophone } from "./microphone.js";
import { channel, read } from "./reading.js";
import { Pieces, Recorder } from "./recorder.js";
import { seconds, words } from "./words.js";

/** What is heard at once, s, and how often. */
const WINDOW = 3;
const EVERY = 1000;
/** With less speech, s, nobody is named. */
const LEAST = 0.5;

const part = (id) => document.getElementById(id);

export class Voices {
  #model;
  #voices = [];
  #microphone;
  #pieces;
  #timer;
  #isOpening = false;
  #isBusy = false;
  #taken = () => this.#stop();

  constructor(model) {
    this.#model = model;
    const failed = (error) => this.#note(words(error), true);
    new Recorder(part("enrol-record"), {
      begun: () => this.#named() !== undefined,
      heard: (samples, rate) =>
        this.#note(`Recording: ${Math.floor(samples.length / rate)} s. Five are a good start.`),
      done: (samples, rate) => this.#enrol(samples, rate),
      failed,
    });
    part("enrol").addEventListener("submit", (event) => {
      event.preventDefault();
      part("enrol-record").click();
    });
    part("enrol-choose").addEventListener("click", () => {
      if (this.#named() !== undefined) part("enrol-file").click();
    });
    part("enrol-file").addEventListener("change", async ({ target }) => {
      const [file] = target.files;
      if (!file) return;
      try {
        const { channels, rate } = await read(file, this.#model());
        await this.#enrol(channel(channels), rate);
      } catch (error) {
        failed(error);
      }
      target.value = "";
    });
    part("listen").addEventListener("click", () =>
      this.#microphone ? this.#stop() : this.#start(),
    );
  }

  set enabled(isReady) {
    part("enrol-record").disabled = part("enrol-choose").disabled = !isReady;
    this.#show();
  }

  /** Hears all voices anew, by another model. */
  async rehear() {
    await this.#stop();
    for (const voice of this.#voices) {
      try {
        voice.heard = await this.#model().hear(voice.samples, voice.rate);
      } catch (error) {
        this.#remove(voice.name);
        this.#note(`${voice.name} was removed. ${words(error)}`, true);
      }
    }
  }

  /** The name that is typed, if it is one. */
  #named() {
    const input = part("name");
    const name = input.value.trim();
    const isTaken = this.#voices.some((voice) => voice.name === name);
    if (name !== "" && !isTaken) return name;
    this.#note(name === "" ? "First type the name." : `“${name}” is enrolled already.`, true);
    input.focus();
    return undefined;
  }

  async #enrol(samples, rate) {
    const name = this.#named();
    if (name === undefined) return;
    try {
      const heard = await this.#model().hear(samples, rate);
      // Refuses a recording in which nobody speaks.
      await this.#model().compare(heard, heard);
      const doubts = heard.warnings.map((warning) => `; ${warning}`).join("");
      this.#note(`${name} is enrolled: ${seconds(heard.speechSeconds)} of speech${doubts}.`);
      this.#voices.push({ name, samples, rate, heard, row: this.#row(name) });
      part("name").value = "";
      this.#show();
    } catch (error) {
      this.#note(words(error).replace(/^The first recording: /, "The recording is "), true);
    }
  }

  #row(name) {
    const row = document.createElement("li");
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = name;
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.append(document.createElement("span"));
    const figure = document.createElement("output");
    // The answer above is read aloud, not each number.
    figure.setAttribute("aria-live", "off");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${name}`);
    remove.addEventListener("click", () => this.#remove(name));
    row.append(who, bar, figure, remove);
    part("voices").append(row);
    return row;
  }

  #remove(name) {
    const voice = this.#voices.find((voice) => voice.name === name);
    this.#voices = this.#voices.filter((other) => other !== voice);
    voice.row.remove();
    this.#model()
      ?.release(voice.heard)
      .catch(() => undefined);
    if (this.#voices.length === 0) this.#stop();
    this.#show();
    part("name").focus();
  }

  #show() {
    const isReady = this.#model() !== undefined && this.#voices.length > 0;
    part("listen").disabled = !isReady;
    if (!this.#microphone) {
      this.#say(this.#voices.length === 0 ? "Nobody is enrolled." : "Ready to listen.", true);
    }
  }

  async #start() {
    // The button stays enabled meanwhile: a disabled one loses the keyboard's focus.
    if (this.#isOpening) return;
    const button = part("listen");
    part("live-note").textContent = "";
    this.#isOpening = true;
    this.#pieces = new Pieces();
    try {
      this.#microphone = await openMicrophone((piece) => this.#take(piece), this.#taken);
      this.#timer = setInterval(() => this.#tick(), EVERY);
      button.textContent = "Stop listening";
      this.#say("Listening …", true);
    } catch (error) {
      part("live-note").textContent = words(error);
      part("live-note").classList.add("failed");
    } finally {
      this.#isOpening = false;
      button.setAttribute("aria-pressed", String(this.#microphone !== undefined));
      button.classList.toggle("on", this.#microphone !== undefined);
    }
  }

  #take(piece) {
    this.#pieces.add(piece);
    this.#pieces.keep(WINDOW * (this.#microphone?.rate ?? 192_000));
  }

  async #stop() {
    const microphone = this.#microphone;
    if (!microphone) return;
    this.#microphone = undefined;
    clearInterval(this.#timer);
    const button = part("listen");
    button.textContent = "Start listening";
    button.setAttribute("aria-pressed", "false");
    button.classList.remove("on");
    this.#mark();
    this.#show();
    await microphone.close();
  }

  /** Hears the last seconds. A model that takes longer than a second skips some. */
  async #tick() {
    const { rate } = this.#microphone;
    if (this.#isBusy || this.#pieces.length < rate) return;
    this.#isBusy = true;
    try {
      const revox = this.#model();
      const heard = await revox.hear(this.#pieces.last(WINDOW * rate), rate);
      const voices = [...this.#voices];
      const isQuiet = heard.silent || heard.speechSeconds < LEAST;
      const all = isQuiet
        ? []
        : await Promise.all(voices.map((voice) => revox.compare(voice.heard, heard)));
      await revox.release(heard);
      if (!this.#microphone) return;
      this.#name(voices, all);
    } catch (error) {
      if (!this.#microphone) return;
      part("live-note").textContent = words(error);
      part("live-note").classList.add("failed");
      this.#stop();
    } finally {
      this.#isBusy = false;
    }
  }

  #name(voices, all) {
    if (all.length === 0) {
      this.#mark();
      this.#say("Nobody speaks.", true);
      return;
    }
    const best = all.reduce((best, { score }, i) => (score > all[best].score ? i : best), 0);
    const speaks = all[best].same === false ? undefined : voices[best];
    voices.forEach(({ row }, i) => {
      const { score, probability } = all[i];
      const share = probability ?? Math.max(0, score);
      row.querySelector(".bar span").style.width = `${100 * share}%`;
      row.querySelector("output").textContent =
        probability === undefined ? score.toFixed(2) : `${Math.round(100 * share)} %`;
      row.classList.toggle("speaks", voices[i] === speaks);
    });
    this.#say(speaks ? `${speaks.name} speaks.` : "Somebody else speaks.", false);
  }

  #mark() {
    for (const { row } of this.#voices) {
      row.classList.remove("speaks");
      row.querySelector(".bar span").style.width = "0";
      row.querySelector("output").textContent = "";
    }
  }

  #say(text, isQuiet) {
    const speaker = part("speaker");
    speaker.classList.toggle("quiet", isQuiet);
    // Told once, not every second.
    if (speaker.textContent !== text) speaker.textContent = text;
  }

  #note(text, isFailure = false) {
    const note = part("enrol-note");
    note.classList.toggle("failed", isFailure);
    if (note.textContent !== text) note.textContent = text;
  }
}
