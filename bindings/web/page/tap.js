// Hands over what the microphone hears, in pieces of about 40 ms.

class Tap extends AudioWorkletProcessor {
  #piece = new Float32Array(2048);
  #filled = 0;

  process([[channel]]) {
    if (channel) {
      this.#piece.set(channel, this.#filled);
      this.#filled += channel.length;
      if (this.#filled === this.#piece.length) {
        this.port.postMessage(this.#piece);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("tap", Tap);
