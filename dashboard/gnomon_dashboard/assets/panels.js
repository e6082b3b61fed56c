// Panels: only those in sight ask the server; and what the menu of a panel does.
(function () {
  "use strict";
  const { part } = window.gnomonPage;
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  const nothing = () => window.dash_clientside.no_update;
  const MARGIN = "240px";

  // what a panel was last asked for, by element: a new page has new elements
  const asked = new WeakMap();
  const inSight = new Set();
  let refreshes = 0;

  function ask(section) {
    const question = {
      search: window.location.search,
      path: window.location.pathname,
      scheme: window.gnomonScheme.scheme(),
      refreshes,
    };
    const words = JSON.stringify(question);
    if (!section.isConnected || asked.get(section) === words) return;
    asked.set(section, words);
    window.dash_clientside.set_props(`${section.dataset.panel}-asked`, { data: question });
  }

  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) {
          inSight.add(target);
          ask(target);
        } else inSight.delete(target);
      }
    },
    { rootMargin: MARGIN },
  );

  function find() {
    for (const section of inSight) if (!section.isConnected) inSight.delete(section);
    document.querySelectorAll("[data-panel]").forEach((section) => observer.observe(section));
  }

  clientside.gnomonPanels = {
    // the URL, the refresh or the colours changed, or a page came
    follow(_page, _search, byTimer, byHand) {
      refreshes = (byTimer ?? 0) + (byHand ?? 0);
      for (const section of inSight) ask(section);
      return nothing();
    },
  };

  // React puts a new page into the document when it finds the time: whoever waits a fixed while misses it
  let isDue = false;
  new MutationObserver(() => {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      find();
    }, 100);
  }).observe(document.documentElement, { childList: true, subtree: true });

  function query(extra) {
    const all = window.gnomonPage.parameters();
    for (const [name, value] of Object.entries(extra)) all.set(name, value);
    return all.toString();
  }

  function dialog(title, text) {
    const box = part("dialog", "sheet");
    const head = part("div", "sheet-head");
    const copy = part("button", "chip-button", "Copy");
    const close = part("button", "chip-button", "Close");
    copy.addEventListener("click", () => {
      navigator.clipboard?.writeText(text);
      copy.textContent = window.gnomonPage.word("Copied");
    });
    close.addEventListener("click", () => box.close());
    head.append(part("h2", "", title), copy, close);
    const code = part("pre", "sheet-body", text);
    code.tabIndex = 0;
    box.append(head, code);
    box.addEventListener("close", () => box.remove());
    box.addEventListener("click", (event) => event.target === box && box.close());
    document.body.append(box);
    box.showModal();
  }

  async function showSql(panel) {
    const response = await fetch(`/api/panels/${panel}/sql?${query({ path: window.location.pathname })}`);
    const answer = await response.json();
    dialog("The SQL behind this panel", answer.sql ?? `The query failed: ${answer.error}`);
  }

  function explore(own) {
    const kept = new URLSearchParams();
    for (const [name, value] of window.gnomonPage.parameters()) {
      if (["project", "range", "from", "to", "refresh", "service", "env", "model"].includes(name)) kept.append(name, value);
    }
    for (const [name, value] of new URLSearchParams(own)) kept.set(name, value);
    window.gnomonPage.visit(`/traces?${kept}`);
  }

  function image(panel) {
    const chart = document.querySelector(`#${CSS.escape(panel)} .js-plotly-plot`);
    if (chart) window.Plotly.downloadImage(chart, { format: "png", scale: 2, filename: `gnomon-${panel}` });
  }

  function download(panel) {
    const link = part("a", "");
    link.href = `/export/panels/${panel}.csv?${query({ path: window.location.pathname })}`;
    link.download = "";
    link.click();
  }

  const ACTIONS = { "panel-explore": explore, "panel-csv": download, "panel-png": image, "panel-sql": showSql };
  document.addEventListener("click", (event) => {
    const entry = event.target.closest?.("[data-action]");
    ACTIONS[entry?.dataset.action]?.(entry.dataset.value);
    for (const menu of document.querySelectorAll(".panel-menu[open]")) {
      if (!menu.contains(event.target) || event.target.closest(".menu-entry:not(.stays)")) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll(".panel-menu[open]").forEach((menu) => (menu.open = false));
  });
  window.gnomonSheet = dialog;
})();
