// The page's words in the language of its browser: sentences by key, numbers and units.
// One file a language is in words/; what a file lacks, and all where it does not come, is English.

export const LANGUAGES = ["de", "en", "es", "fr", "ja", "zh"];
const LATE_MS = 2000; // a page in English is better than none
const [TRIES, AGAIN_MS] = [5, 1000]; // of English, without which there are no sentences at all

const base = (tag) => tag.toLowerCase().split("-")[0];
const asked = new URLSearchParams(location.search).get("lang");
const wanted = [asked, ...navigator.languages].filter(Boolean).map(base);
// of those that the visitor reads the first that there is
const chosen = wanted.find((one) => LANGUAGES.includes(one)) ?? "en";

const load = async (name, options) => {
  const reply = await fetch(new URL(`./words/${name}.json`, import.meta.url), options);
  if (!reply.ok) throw new Error(`${name}.json: ${reply.status}`);
  return reply.json();
};

async function loadEnglish(tries = TRIES) {
  try {
    return await load("en");
  } catch (error) {
    if (tries <= 1) throw error; // the page stays as it stands
    await new Promise((over) => { setTimeout(over, AGAIN_MS); });
    return loadEnglish(tries - 1);
  }
}

const [english, own] = await Promise.all([
  loadEnglish(),
  chosen === "en" ? {} : load(chosen, { signal: AbortSignal.timeout(LATE_MS) }).catch(() => null),
]);
const words = { ...english, ...own };
// whose words these are
export const language = own ? chosen : "en";

const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language, { useGrouping: "min2" });
const formats = {};

// a value with its unit, one of ECMA-402's such as "second"; – for one that is no number
export function amount(value, unit, digits = 0) {
  if (!Number.isFinite(value)) return "–";
  formats[`${unit} ${digits}`] ??= new Intl.NumberFormat(language,
    { style: "unit", unit, minimumFractionDigits: digits, maximumFractionDigits: digits });
  return formats[`${unit} ${digits}`].format(value);
}

// a number with so many digits; – for what is none
export const number = (value, digits = 0) => (Number.isFinite(value)
  ? value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }) : "–");

export const known = (key) => key in words;

// the sentence `key`; a `count` among `values` chooses its form, `key.one` or `key.other`
export function say(key, values = {}) {
  const form = "count" in values ? `${key}.${plurals.select(values.count)}` : key;
  const text = words[form] ?? words[`${key}.other`] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name] ?? whole;
    return typeof value === "number" ? numbers.format(value) : value;
  });
}

// what an element is called, with the key of the keyboard that stands for it
export const withKey = (what, key) => (key ? say("page.with_key", { what, key }) : what);

// texts, titles, labels, descriptions and placeholders of all elements in `root` that name their words
export function fill(root) {
  for (const one of root.querySelectorAll("[data-words]")) one.textContent = say(one.dataset.words);
  for (const one of root.querySelectorAll("[data-words-title]"))
    one.title = withKey(say(one.dataset.wordsTitle), one.dataset.key);
  for (const one of root.querySelectorAll("[data-words-label]")) one.ariaLabel = say(one.dataset.wordsLabel);
  for (const one of root.querySelectorAll("[data-words-alt]")) one.alt = say(one.dataset.wordsAlt);
  for (const one of root.querySelectorAll("[data-words-placeholder]"))
    one.placeholder = say(one.dataset.wordsPlaceholder);
}

document.documentElement.lang = language;
document.documentElement.dir = words["page.direction"] ?? "ltr";
fill(document);
document.documentElement.classList.remove("untranslated");
