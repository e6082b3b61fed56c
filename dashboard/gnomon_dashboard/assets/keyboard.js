// Keys: / search, j k rows, g and a letter to go somewhere, r refresh, t theme, ? help.
(function () {
  "use strict";
  let awaitsLetter = 0;

  const isWriting = (node) => node?.closest?.("input, textarea, select, [contenteditable=true], dialog[open]");

  function focusSearch() {
    const place = document.querySelector(".page .query-bar input, .page .grid-search input, .page input[type=text]");
    place?.focus();
    place?.select?.();
    return Boolean(place);
  }

  // rows: of the grid, of a ranking, of a chat; what is current is what has the focus
  function rows() {
    const grid = [...document.querySelectorAll(".ag-center-cols-container .ag-row .cell-link")];
    const links = grid.length ? grid : [...document.querySelectorAll(".page .rank tbody tr a, .page .chat-facts a, .outcomes a")];
    return links.filter((link) => link.offsetParent !== null);
  }

  function move(step) {
    const all = rows();
    if (!all.length) return false;
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  function help() {
    const pages = [...document.querySelectorAll(".nav-link")]
      .filter((link) => /^g .$/.test(link.title))
      .map((link) => `${link.title}    ${link.textContent}`);
    const text = [
      "/      search, or the query bar",
      "j k    next and previous row; Enter opens it",
      "r      refresh now",
      "t      light and dark",
      "?      this help",
      "Esc    close",
      "",
      "Go to",
      ...pages,
      "",
      "In a trace: j k choose a span, ← → fold and unfold.",
    ].join("\n");
    window.gnomonSheet("Keys", text);
    return true;
  }

  function go(letter) {
    const link = [...document.querySelectorAll(".nav-link")].find((one) => one.title === `g ${letter}`);
    link?.click();
    return Boolean(link);
  }

  const KEYS = {
    "/": focusSearch,
    j: () => move(1),
    k: () => move(-1),
    r: () => document.getElementById("refresh-now")?.click() ?? true,
    t: () => document.getElementById("scheme-toggle")?.click() ?? true,
    "?": help,
    g: () => {
      awaitsLetter = Date.now();
      return true;
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isWriting(event.target)) return;
    const isSecond = Date.now() - awaitsLetter < 1500 && event.key.length === 1;
    awaitsLetter = 0;
    const done = isSecond ? go(event.key) : KEYS[event.key]?.();
    if (done) event.preventDefault();
  });
})();
