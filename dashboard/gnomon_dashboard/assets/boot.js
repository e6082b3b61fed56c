// Runs in <head>, before anything is drawn: the colour scheme and the viewer's time zone.
// Both go into cookies, because figures are made on the server.
(function () {
  "use strict";
  const KEY = "mantine-color-scheme-value";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return window.localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function scheme() {
    const wanted = chosen();
    if (wanted === "light" || wanted === "dark") return wanted;
    return dark.matches ? "dark" : "light";
  }

  function setCookie(name, value) {
    document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
  }

  function apply() {
    const root = document.documentElement;
    root.setAttribute("data-mantine-color-scheme", scheme());
    root.setAttribute("data-ag-theme-mode", scheme());
    setCookie("gnomon_scheme", scheme());
  }

  function choose(wanted) {
    try {
      window.localStorage.setItem(KEY, wanted);
    } catch {
      // private windows may refuse; the choice then lasts as long as the page
    }
    apply();
  }

  const chosenZone = document.cookie.split("; ").find((part) => part.startsWith("gnomon_zone_chosen="))?.slice(19);
  setCookie("gnomon_zone", chosenZone || encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"));
  apply();
  dark.addEventListener("change", apply);
  window.gnomonScheme = { scheme, choose, watch: (listener) => dark.addEventListener("change", listener) };
})();
