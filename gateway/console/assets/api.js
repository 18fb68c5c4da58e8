// The only way to data: the API, as the person who has logged in.

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail ?? told.title ?? String(status));
    this.status = status;
    this.kind = (told.type ?? "").replace("urn:gateway:problem:", "");
    this.errors = told.errors ?? [];
  }
}

let account = null;
const watchers = new Set();
export const me = () => account;
export const may = (permission) => account?.permissions.includes(permission) ?? false;
export const onAccount = (told) => watchers.add(told);

function become(told) {
  account = told;
  watchers.forEach((each) => each(told));
}

export function address(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const each of [value].flat()) search.append(name, each);
  }
  const text = search.toString();
  return `/api/v1/${path}${text ? `?${text}` : ""}`;
}

const BUSY = 503;
const WAITS_MS = [400, 900, 1800];

// Only so many questions are answered at once; to look again in a moment is not a person's work.
async function patient(to, options) {
  for (const wait of WAITS_MS) {
    const answer = await fetch(to, options);
    if (answer.status !== BUSY || options.method !== "GET") return answer;
    const told = await answer
      .clone()
      .json()
      .catch(() => ({}));
    if (!String(told.type).endsWith(":busy")) return answer;
    await new Promise((resolve) => setTimeout(resolve, wait));
    options.signal?.throwIfAborted();
  }
  return fetch(to, options);
}

export async function ask(path, { query, body, method, signal, cache, headers } = {}) {
  const answer = await patient(address(path, query), {
    method: method ?? (body === undefined ? "GET" : "POST"),
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(account?.csrf ? { "X-CSRF-Token": account.csrf } : {}),
      ...headers,
    },
    signal,
    cache,
  });
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const problem = new Problem(answer.status, told);
    // A session that has ended is the whole page's matter, but a wrong password is its form's.
    if (problem.kind === "not-authenticated" && account) become(null);
    throw problem;
  }
  return told;
}

export async function resume() {
  try {
    become(await ask("session"));
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    become(null);
  }
}

export async function logIn(name, password) {
  become(await ask("session", { body: { name, password } }));
}

export async function logOut() {
  await ask("session", { method: "DELETE" }).catch(() => {});
  become(null);
}

export async function changePassword(old, chosen) {
  await ask("session/password", { method: "PUT", body: { old, new: chosen } });
  await resume();
}

let known = null;
// Kinds, codes and decisions do not change while a page is open.
export function vocabulary() {
  known ??= ask("vocabulary").catch((problem) => {
    known = null;
    throw problem;
  });
  return known;
}
