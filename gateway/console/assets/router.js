// Addresses: pages are real paths, filters are their queries, and the browser's history works.

const started = new Set();
export const onRoute = (told) => started.add(told);

export function go(to, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"]({}, "", to);
  started.forEach((each) => each());
}

// Notes filters in the address without showing the page anew.
export function note(query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value ?? ""].flat()) if (each !== "") search.append(name, each);
  }
  const text = search.toString();
  history.replaceState({}, "", location.pathname + (text ? `?${text}` : ""));
}

export function here() {
  const parts = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  return {
    page: parts[0] ?? "overview",
    rest: parts.slice(1),
    query: new URLSearchParams(location.search),
  };
}

addEventListener("popstate", () => started.forEach((each) => each()));
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (
    !link ||
    event.defaultPrevented ||
    event.button ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey
  )
    return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || link.target || link.hasAttribute("download")) return;
  if (to.pathname.startsWith("/api/") || (to.hash && to.pathname === location.pathname)) return;
  event.preventDefault();
  go(to.pathname + to.search);
});
