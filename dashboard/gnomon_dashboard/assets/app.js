// The controls of the frame write to the URL; everything else follows the URL.
// Names of components are those of ids.py.
(function () {
  "use strict";
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  const nothing = () => window.dash_clientside.no_update;

  function parameters() {
    return new URLSearchParams(window.location.search);
  }

  // changes: name -> text, list of texts, or null to remove; an unchanged URL is left alone
  function go(changes, { replace = false } = {}) {
    const before = parameters();
    const after = parameters();
    for (const [name, value] of Object.entries(changes)) {
      after.delete(name);
      for (const one of Array.isArray(value) ? value : value ? [value] : []) after.append(name, one);
    }
    before.sort();
    after.sort();
    if (before.toString() === after.toString()) return;
    // another view begins with its first page
    if (!("refresh" in changes) && !("page" in changes)) after.delete("page");
    show(window.location.pathname + (after.toString() ? `?${after}` : ""), replace);
  }

  // Dash's Location component listens to this event, which its own Link component sends
  function show(address, replace) {
    if (replace) window.history.replaceState({}, "", address);
    else window.history.pushState({}, "", address);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  }

  function visit(href) {
    const target = new URL(href, window.location.href);
    show(target.pathname + target.search, false);
    window.scrollTo(0, 0);
  }

  function showScheme() {
    const scheme = window.gnomonScheme.scheme();
    window.dash_clientside.set_props("provider", { forceColorScheme: scheme });
    window.dash_clientside.set_props("scheme", { data: scheme });
  }

  clientside.gnomon = {
    project(value, choices) {
      const current = parameters().get("project");
      // where there is one project only, addresses need not name it
      const isImplied = current === null && choices?.length === 1;
      if (value && value !== current && !isImplied) go({ project: value }, { replace: current === null });
      return nothing();
    },
    filters(services, environments, models) {
      go({ service: services || [], env: environments || [], model: models || [] });
      return nothing();
    },
    range(value) {
      if (value) go({ range: value === "1h" ? null : value, from: null, to: null });
      return nothing();
    },
    refresh(value) {
      if (value) go({ refresh: value === "10" ? null : value }, { replace: true });
      return nothing();
    },
    customRange(_clicks, from, to) {
      const [start, end] = [new Date(from), new Date(to)];
      if (from && to && start < end) {
        const iso = (date) => date.toISOString().replace(/\.\d+Z$/, "Z");
        go({ from: iso(start), to: iso(end), range: null });
        document.getElementById("custom-range").open = false;
      }
      return nothing();
    },
    // the options of a page, such as the dimension of a breakdown; the default one is not in the URL
    options(values, controls) {
      const changes = {};
      (controls || []).forEach((control, index) => {
        const next = values[index] === control.default ? null : values[index] || null;
        if (next !== parameters().get(control.name)) changes[control.name] = next;
      });
      if (Object.keys(changes).length) go(changes);
      return nothing();
    },
    toggleScheme() {
      window.gnomonScheme.choose(window.gnomonScheme.scheme() === "dark" ? "light" : "dark");
      showScheme();
      return nothing();
    },
  };
  // A word of ours in the language of the page (words/scripts.json), values put into its gaps; others as
  // they are.
  function word(text, ...values) {
    const known = [...document.querySelectorAll("#script-words [data-word]")];
    const found = known.find((one) => one.dataset.word === text)?.textContent ?? text;
    return values.reduce((said, value) => said.replace("{}", () => String(value)), found);
  }

  // An element with a class and a text, which is never read as HTML.
  function part(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = word(text);
    return node;
  }

  // Ask the server for JSON; what it refuses is an error with its words.
  async function call(method, path, body) {
    const response = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error || `HTTP ${response.status}`);
    return answer;
  }

  window.gnomonPage = { go, visit, parameters, part, call, word };
  window.gnomonScheme.watch(showScheme);

  document.addEventListener("click", (event) => {
    const action = event.target.closest?.("[data-action]")?.dataset.action;
    if (action === "reload") window.location.reload();
    if (action === "retry") document.getElementById("refresh-now")?.click();
    if (action === "copy-link") {
      navigator.clipboard?.writeText(window.location.href);
      const button = event.target.closest("[data-action]");
      button.textContent = word("Copied");
      setTimeout(() => (button.textContent = word("Copy link")), 1500);
    }
  });

  // a page that nobody looks at asks for nothing
  document.addEventListener("visibilitychange", () => {
    const seconds = parameters().get("refresh") ?? "10";
    const off = seconds === "0" || parameters().has("from");
    window.dash_clientside.set_props("refresh-timer", { disabled: document.hidden || off });
    if (!document.hidden && !off) document.getElementById("refresh-now")?.click();
  });
})();
