// The page's elements by id, its status line, and handlers whose errors are shown there.

export const at = (id) => document.getElementById(id);

export function showStatus(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

export const reportErrors = (handler) => async (event) => {
  try {
    await handler(event);
  } catch (error) {
    showStatus(error.message, true);
  }
};

export const press = (id, on) => at(id).setAttribute("aria-pressed", String(on));

export function draw(id, icon, name) {
  const use = at(id).querySelector("use");
  const href = `/static/icons.svg#${icon}`;
  // one that is set again is fetched again, which a server that is away does not answer
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
  const text = at(id).querySelector(".name");
  if (text.textContent !== name) text.textContent = name;
}
