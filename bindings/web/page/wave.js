// Waveforms.

/** The columns of a drawing, and half its height. */
const COLUMNS = 80;
const HEIGHT = 46;

/** Draws samples into an SVG element: a line of dots if there are none. */
export function draw(svg, samples) {
  svg.classList.toggle("empty", samples.length === 0);
  svg.querySelector("path").setAttribute("d", path(samples));
}

/** An SVG path through the highest samples of each column, both ways. Loudness fills the height. */
function path(samples) {
  const each = Math.max(1, samples.length / COLUMNS);
  const peaks = Array.from({ length: COLUMNS }, (_, column) => {
    let peak = 0;
    const end = Math.min(samples.length, Math.floor((column + 1) * each));
    for (let i = Math.floor(column * each); i < end; i += 1) {
      peak = Math.max(peak, Math.abs(samples[i]));
    }
    return peak;
  });
  // Noise of a quiet room is not drawn as if somebody spoke.
  const loudest = Math.max(0.02, ...peaks.filter(Number.isFinite));
  const line = (peak, column) => {
    const half = Math.max(0.5, Math.min(HEIGHT, (HEIGHT * (peak || 0)) / loudest)).toFixed(1);
    return `M${3 * column + 1.5} -${half}V${half}`;
  };
  return peaks.map(line).join("");
}

/** A WAV file of these samples, as floats: nothing is rounded. */
export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(58 + 4 * samples.length));
  const text = (place, letters) =>
    [...letters].forEach((letter, i) => view.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 18, true);
  view.setUint16(20, 3, true); // IEEE floats
  view.setUint16(22, 1, true); // a channel
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * rate, true); // bytes a second
  view.setUint16(32, 4, true); // bytes a frame
  view.setUint16(34, 32, true); // bits a sample
  view.setUint16(36, 0, true); // no more of the format
  text(38, "fact");
  view.setUint32(42, 4, true);
  view.setUint32(46, samples.length, true);
  text(50, "data");
  view.setUint32(54, 4 * samples.length, true);
  samples.forEach((sample, i) => view.setFloat32(58 + 4 * i, sample, true));
  return new Blob([view], { type: "audio/wav" });
}
