// Before anything is painted: the theme and the language, so that nothing flashes or jumps.
(() => {
  const root = document.documentElement;
  const read = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const dress = () => {
    const theme = read("theme");
    root.dataset.theme =
      theme === "dark" || theme === "light" ? theme : dark.matches ? "dark" : "light";
  };
  dress();
  // A device that turns dark in the evening takes the page along, unless somebody chose.
  dark.addEventListener("change", () => {
    dress();
    dispatchEvent(new Event("theme"));
  });
  const asked = new URLSearchParams(location.search).get("lang");
  const known = asked ?? read("language") ?? navigator.language;
  if (asked === "zh" || asked === "en") {
    try {
      localStorage.setItem("language", asked);
    } catch {
      // A browser that keeps nothing speaks it for as long as the address says so.
    }
  }
  root.lang = known.toLowerCase().startsWith("zh") ? "zh" : "en";
})();
