// The microphone. Its files are fetched when the page loads, none when it is opened.

import { Refusal } from "./words.js";

const context = "AudioContext" in globalThis ? new AudioContext() : undefined;
const ready = context?.audioWorklet?.addModule(new URL("./tap.js", import.meta.url));
// Told when somebody records.
ready?.catch(() => undefined);

/** As it is heard: what browsers do for calls changes voices. */
const PLAIN = {
  channelCount: 1,
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};

/** What ends the use of the microphone by another part of the page. */
let holder;

/**
 * Opens the microphone and gives its samples to `take`, until it is closed. Who held it is told by
 * `taken`, and closes it.
 */
export async function openMicrophone(take, taken) {
  await holder?.();
  if (!ready || !navigator.mediaDevices?.getUserMedia) {
    throw new Refusal(
      globalThis.isSecureContext
        ? "This browser gives no microphone to pages. Files can be dropped all the same."
        : "Browsers give the microphone only to pages over https, or from this computer. " +
            "Files can be dropped all the same.",
    );
  }
  await ready;
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
  } catch (error) {
    throw new Refusal(refused(error));
  }
  await context.resume();
  const source = context.createMediaStreamSource(stream);
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0, channelCount: 1 });
  tap.port.onmessage = ({ data }) => take(data);
  source.connect(tap);
  holder = taken;
  return {
    rate: context.sampleRate,
    close() {
      if (holder === taken) holder = undefined;
      tap.port.onmessage = null;
      source.disconnect();
      for (const track of stream.getTracks()) track.stop();
      return context.suspend();
    },
  };
}

function refused({ name, message }) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return (
        "The microphone was refused. Allow it beside the page’s address, or in the browser’s " +
        "settings, and press the button again. Files can be dropped all the same."
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone was found. Connect one and press the button again, or drop a file.";
    case "NotReadableError":
    case "AbortError":
      return (
        "The microphone gives no sound. Another program may hold it: close that one and press " +
        "the button again."
      );
    default:
      return `The microphone did not open: ${message || name}.`;
  }
}

/** Plays samples. The promise is kept at their end. */
export async function play(samples, rate) {
  await context.resume();
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  const ended = new Promise((resolve) => (source.onended = resolve));
  source.start();
  return { ended, stop: () => source.stop() };
}
