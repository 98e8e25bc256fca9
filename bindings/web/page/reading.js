// Files of sound.

import { Refusal } from "./words.js";

/** More would not fit a browser's memory, decoded. */
const MOST = 200 << 20;
/** Where the browser decodes: no sound that people hear is lost. */
const RATE = 48_000;
/** How files begin that revox reads itself. What it refuses in them, browsers would pass over. */
const OWN = ["RIFF", "RF64", "fLaC", "FORM", "NIST"];

/** The channels of a file and their rate. What revox reads itself is read as the program does. */
export async function read(file, revox) {
  if (file.size > MOST) {
    throw new Refusal(`“${file.name}” is larger than 200 MB. Cut out the part that matters.`);
  }
  if (file.size === 0) throw new Refusal(`“${file.name}” is empty.`);
  let bytes;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    throw new Refusal(`“${file.name}” cannot be read. It may have been moved, or be a folder.`);
  }
  let why;
  try {
    return await revox.decode(bytes, file.name);
  } catch (error) {
    if (error.code !== "invalid") throw error;
    why = error.message.replace(`${file.name}: `, "");
  }
  const unread = `“${file.name}” holds no sound that can be read here: ${why}.`;
  if (OWN.includes(String.fromCharCode(...new Uint8Array(bytes.slice(0, 4))))) {
    throw new Refusal(unread);
  }
  try {
    const decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
    const places = Array.from({ length: decoded.numberOfChannels }, (_, place) => place);
    return { rate: RATE, channels: places.map((place) => decoded.getChannelData(place)) };
  } catch {
    throw new Refusal(unread);
  }
}

/** One channel, or the mean of all. */
export function channel(channels, chosen) {
  if (chosen !== undefined) return channels[chosen];
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => {
    const sum = channels.reduce((all, samples) => all + samples[i], 0);
    return sum / channels.length;
  });
}
