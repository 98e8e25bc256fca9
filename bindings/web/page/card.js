// A card with one recording.

import { play } from "./microphone.js";
import { channel, read } from "./reading.js";
import { Recorder } from "./recorder.js";
import { draw, wav } from "./wave.js";
import { seconds, words } from "./words.js";

export class Card {
  /** What the model heard, if there is something. */
  heard;
  #model;
  #changed;
  #parts;
  #recorder;
  /** The recording: its channels, its rate, its name. */
  #recording;
  #samples;
  /** What is on its way in. What is overtaken is dropped. */
  #turn = 0;
  #playing;

  /** `model` gives the current model, `changed` is told of something new. */
  constructor(article, model, changed) {
    article.append(document.getElementById("recorder").content.cloneNode(true));
    const part = (query) => article.querySelector(query);
    this.#model = model;
    this.#changed = changed;
    this.#parts = {
      wave: part(".wave"),
      facts: part(".facts"),
      channel: part(".channel"),
      choose: part(".choose"),
      record: part(".record"),
      play: part(".play"),
      save: part(".save"),
      file: part("input"),
      failure: part(".failure"),
    };
    const { choose, record, file, play, save, wave } = this.#parts;
    draw(wave, []);
    const title = part("h2").textContent;
    for (const button of [choose, record, play, save]) {
      button.setAttribute("aria-describedby", part("h2").id);
    }
    file.setAttribute("aria-label", `${title}: a file`);
    this.#recorder = new Recorder(record, {
      begun: () => this.#clear("Listening …"),
      heard: (samples, rate) => {
        draw(this.#parts.wave, samples);
        this.#say(`Recording: ${Math.floor(samples.length / rate)} s`);
      },
      done: (samples, rate) => this.#take({ channels: [samples], rate, name: "recording" }),
      failed: (error) => this.#fail(error),
    });
    choose.addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      if (file.files.length > 0) this.open(file.files[0]);
      file.value = "";
    });
    this.#parts.channel.querySelector("select").addEventListener("change", () => this.rehear());
    play.addEventListener("click", () => this.#play());
    save.addEventListener("click", () => this.#save(title));
    drops(article, (dropped) => this.open(dropped));
  }

  /** A model is there, or none. */
  set enabled(isReady) {
    this.#parts.record.disabled = !isReady;
    this.#parts.choose.disabled = !isReady;
  }

  /** Takes a file. */
  async open(file) {
    if (!this.#model()) return;
    await this.#recorder.stop({ keep: false });
    this.#clear(`Reading “${file.name}” …`);
    const turn = this.#turn;
    try {
      const { channels, rate } = await read(file, this.#model());
      if (turn === this.#turn) await this.#take({ channels, rate, name: file.name });
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    }
  }

  #take(recording) {
    this.#recording = recording;
    const { channel } = this.#parts;
    const { channels } = recording;
    channel.hidden = channels.length < 2;
    const options = channels.map((_, i) => new Option(`${i + 1} of ${channels.length}`, i));
    channel.querySelector("select").replaceChildren(new Option("mean of all", "all"), ...options);
    return this.rehear();
  }

  /** Hears what is there, by the current model. */
  async rehear() {
    if (!this.#recording) return;
    const turn = (this.#turn += 1);
    this.#forget();
    const { channels, rate, name } = this.#recording;
    const { value } = this.#parts.channel.querySelector("select");
    this.#samples = channel(channels, value === "all" ? undefined : Number(value));
    draw(this.#parts.wave, this.#samples);
    this.#parts.failure.textContent = "";
    this.#parts.play.hidden = this.#parts.save.hidden = false;
    try {
      const heard = await this.#model().hear(this.#samples, rate);
      if (turn !== this.#turn) return;
      this.heard = heard;
      const speech = heard.silent ? "silence" : `${seconds(heard.speechSeconds)} of speech`;
      this.#say(`${name}: ${seconds(heard.seconds)}, ${speech}, ${kilohertz(rate)}`);
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
      return;
    }
    this.#changed();
  }

  #clear(text) {
    this.#turn += 1;
    this.#forget();
    this.#recording = this.#samples = undefined;
    draw(this.#parts.wave, []);
    this.#parts.failure.textContent = "";
    this.#parts.channel.hidden = this.#parts.play.hidden = this.#parts.save.hidden = true;
    this.#playing?.stop();
    this.#say(text);
    this.#changed();
  }

  #forget() {
    const { heard } = this;
    this.heard = undefined;
    // A model that is gone has forgotten it.
    if (heard)
      this.#model()
        ?.release(heard)
        .catch(() => undefined);
  }

  #say(text) {
    // Readers of screens would else hear the same seconds again and again.
    if (this.#parts.facts.textContent !== text) this.#parts.facts.textContent = text;
  }

  #fail(error) {
    this.#say("Record, choose a file, or drop one here.");
    this.#parts.failure.textContent = words(error);
    this.#changed();
  }

  async #play() {
    const { play: button } = this.#parts;
    if (this.#playing) return this.#playing.stop();
    const playing = await play(this.#samples, this.#recording.rate);
    this.#playing = playing;
    button.textContent = "Stop playing";
    await playing.ended;
    this.#playing = undefined;
    button.textContent = "Play";
  }

  #save(title) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(wav(this.#samples, this.#recording.rate));
    link.download = `${title.toLowerCase().replace(" ", "-")}.wav`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}

const kilohertz = (rate) => `${Number((rate / 1000).toFixed(2))} kHz`;

/** Files that are dropped on an element. */
function drops(element, take) {
  let inside = 0;
  const over = (change) => {
    inside = Math.max(0, inside + change);
    element.classList.toggle("over", inside > 0);
  };
  element.addEventListener("dragenter", (event) => (event.preventDefault(), over(1)));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("dragleave", () => over(-1));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-inside);
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}
