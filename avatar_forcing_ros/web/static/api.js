// Requests to the server: the token, this browser's key, and errors as sentences.

const kept = (name) => sessionStorage.getItem(name) || "";
export const key = () => kept("key");
export const setKey = (value) => sessionStorage.setItem("key", value);

// a link may carry the token behind #, which no server and no log ever sees
const linked = new URLSearchParams(location.hash.slice(1)).get("token");
if (linked) {
  sessionStorage.setItem("token", linked);
  history.replaceState(null, "", location.pathname);
}

let asking = null;

function askForToken() {
  asking ||= new Promise((done) => {
    const dialog = document.getElementById("ask");
    dialog.addEventListener("close", () => {
      sessionStorage.setItem("token", document.getElementById("token").value);
      asking = null;
      done();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

async function request(path, options = {}) {
  const headers = { Authorization: `Bearer ${kept("token")}`, "X-Avatar-Key": key() };
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (reply.status === 401) {
    await askForToken();
    return request(path, options);
  }
  if (!reply.ok) {
    const told = await reply.json().catch(() => ({}));
    throw Object.assign(new Error(told.error || `The server answered ${reply.status}.`),
      { status: reply.status });
  }
  return reply;
}

export const get = async (path) => (await request(path)).json();
export const getBlob = async (path) => (await request(path)).blob();
export const post = async (path, body, more = {}) =>
  (await request(path, { method: "POST", body, ...more })).json();
export const postJson = (path, table) => post(path, JSON.stringify(table));
