// How loud a stream is, from 0 to 1, ten times a second.

const TICK_MS = 100;
const FLOOR_DB = -55;
let context = null;

// browsers start audio processing after a touch or a key alone
export function wakeMeters() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume().catch(() => {});
}

// calls `show(level)` until the function that it returns is called
export function meter(stream, show) {
  if (!stream.getAudioTracks().length) return () => {};
  wakeMeters();
  const source = context.createMediaStreamSource(stream);
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  const samples = new Float32Array(analyser.fftSize);
  source.connect(analyser);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    show(Math.min(1, Math.max(0, 1 - 10 * Math.log10(power + 1e-9) / FLOOR_DB)));
  }, TICK_MS);
  return () => {
    clearInterval(timer);
    source.disconnect();
    show(0);
  };
}
