// The panel of figures.

const ms = (value) => (value === null || value === undefined ? "–" : `${Math.round(value)} ms`);

export function show(list, state, delay, frameRate) {
  const rows = [
    ["The avatar is", state.state],
    ["Pictures", frameRate === null ? "–" : `${frameRate.toFixed(0)} a second`],
    ["Shown after its time by", ms(state.reaction_ms)],
    ["A block takes", `${ms(state.compute_ms)}, at worst ${ms(state.compute_p99_ms)}`],
    ["Network, there and back", ms(delay?.wayMs)],
    ["Waits in this browser", ms(delay?.bufferMs)],
    ["Your face", state.face_visible ? "seen" : "not seen"],
    ["Camera pictures left out", state.camera_dropped],
    ["Still to be said", `${(state.waiting_voice_samples / 16000).toFixed(1)} s`],
    ["Computes less, for lack of time", state.reduced ? "yes" : "no"],
    ["Blocks left out", state.skipped_blocks],
    ["Others who watch", state.viewers],
  ];
  list.replaceChildren(...rows.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const told = document.createElement("dd");
    term.textContent = name;
    told.textContent = value;
    return [term, told];
  }));
}
