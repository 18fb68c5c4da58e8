// Texts of the language that is spoken, from the catalogue that the server has of it.

let texts = {};
export const language = document.documentElement.lang;

export async function loadTexts() {
  const answer = await fetch(new URL(`texts/${language}.json`, import.meta.url));
  texts = await answer.json();
}

export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// The text of a word of an open list; the word itself where it has none.
export const word = (family, name) => texts[`${family}.${name}`] ?? String(name ?? "");

export function speak(name) {
  localStorage.setItem("language", name);
  const address = new URL(location.href);
  address.searchParams.delete("lang");
  location.replace(address);
}
