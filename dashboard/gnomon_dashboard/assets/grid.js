// The Traces grid: a data source that asks the server for blocks of rows, and the URL that keeps
// sort, filters, search and columns.
(function () {
  "use strict";
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  const nothing = () => window.dash_clientside.no_update;
  const { word } = window.gnomonPage;
  const GRID = "traces-grid";
  const DATA = ["project", "range", "from", "to", "service", "env", "model", "rows", "q", "sort", "filter"];

  // what belongs to the grid on the page now
  let mounted = null;

  function dataKey() {
    const now = window.gnomonPage.parameters();
    return JSON.stringify(DATA.map((name) => now.getAll(name)));
  }

  async function post(path, body, signal) {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    if (response.status === 401) window.location.reload();
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(answer.error || `HTTP ${response.status}`), { status: response.status });
    return answer;
  }

  function sortOf(model) {
    if (!model.length) return null;
    const text = (model[0].sort === "desc" ? "-" : "") + model[0].colId;
    return text === "-time" ? null : text;
  }

  function filterOf(model) {
    return model && Object.keys(model).length ? JSON.stringify(model) : null;
  }

  function say(text, isError) {
    const line = document.getElementById("traces-count");
    if (!line) return;
    line.textContent = text;
    line.classList.toggle("failed", Boolean(isError));
  }

  function overlay(api, text) {
    api.setGridOption("overlayNoRowsTemplate", `<span class="grid-overlay">${text}</span>`);
    api.showNoRowsOverlay();
  }

  async function showCount(grid) {
    try {
      const { count } = await post("/api/traces/count", { search: window.location.search, until: grid.until }, grid.aborter.signal);
      const what = window.gnomonPage.parameters().get("rows") === "calls" ? "call" : "trace";
      grid.count = count;
      say(word(`{} ${what}${count === 1 ? "" : "s"}`, count.toLocaleString("en")));
    } catch (error) {
      if (error.name !== "AbortError") say("");
    }
  }

  // A new source for each result: answers to an older one are dropped with it.
  function source(grid) {
    grid.aborter?.abort();
    grid.aborter = new AbortController();
    grid.until = null;
    const { aborter } = grid;
    return {
      async getRows(request) {
        const limit = request.endRow - request.startRow;
        const body = { search: window.location.search, offset: request.startRow, limit, until: request.startRow ? grid.until : null };
        try {
          const answer = await post("/api/traces/rows", body, aborter.signal);
          if (aborter.signal.aborted || grid.api.isDestroyed()) return request.failCallback();
          grid.until = answer.until;
          request.successCallback(answer.rows, answer.last ?? -1);
          if (request.startRow === 0) {
            if (answer.rows.length) grid.api.hideOverlay();
            else overlay(grid.api, word("No rows in this time range with these filters"));
            showCount(grid);
          }
        } catch (error) {
          // the grid waits for every answer before it asks again, also for those nobody wants any more
          request.failCallback();
          if (aborter.signal.aborted || grid.api.isDestroyed()) return;
          say(error.status === 400 ? error.message : word("Query failed: {}", error.message), true);
          if (request.startRow === 0) overlay(grid.api, error.status === 400 ? word("This query cannot be read: see above.") : word("The query failed. Narrow the time range, or try again."));
        }
      },
    };
  }

  function load(grid) {
    grid.key = dataKey();
    say("");
    grid.api.setGridOption("datasource", source(grid));
  }

  // grid -> URL
  function onChange(grid) {
    if (grid.isFollowing) return;
    const sorted = grid.api.getColumnState().filter((column) => column.sort);
    window.gnomonPage.go(
      { sort: sortOf(sorted.map(({ colId, sort }) => ({ colId, sort }))), filter: filterOf(grid.api.getFilterModel()) },
      { replace: true },
    );
  }

  // URL -> grid
  function follow(grid) {
    const now = window.gnomonPage.parameters();
    const sort = now.get("sort") || "-time";
    const filter = now.get("filter") || "{}";
    grid.isFollowing = true;
    const [colId, direction] = sort.startsWith("-") ? [sort.slice(1), "desc"] : [sort, "asc"];
    const current = grid.api.getColumnState().find((column) => column.sort);
    if (current?.colId !== colId || current?.sort !== direction) {
      grid.api.applyColumnState({ state: [{ colId, sort: direction }], defaultState: { sort: null } });
    }
    if (JSON.stringify(grid.api.getFilterModel()) !== filter) {
      try {
        grid.api.setFilterModel(JSON.parse(filter));
      } catch {
        grid.api.setFilterModel(null);
      }
    }
    setTimeout(() => (grid.isFollowing = false), 0);
    const search = now.get("q") || "";
    window.dash_clientside.set_props("traces-search", { value: search });
    showDownloads();
    if (grid.key && grid.key !== dataKey()) load(grid);
  }

  function showDownloads() {
    document.getElementById("traces-export")?.setAttribute("href", `/export/traces.csv${window.location.search}`);
    document.getElementById("traces-export-jsonl")?.setAttribute("href", `/export/traces.jsonl${window.location.search}`);
  }

  // --- download with progress: rows are counted as they come ---
  const MOST_IN_MEMORY = 400000;

  async function save(link, form) {
    const rowsOf = window.gnomonPage.parameters().get("rows") || "traces";
    const name = `gnomon-${rowsOf}-${new Date().toISOString().slice(0, 19).replace(/[-:]/g, "")}.${form}`;
    const response = await fetch(link.href);
    if (!response.ok) return say(await response.text(), true);
    const chunks = [];
    let rows = form === "csv" ? -1 : 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      for (const byte of value) if (byte === 10) rows += 1;
      const all = mounted?.count ? ` / ${mounted.count.toLocaleString("en")}` : "";
      say(word("Downloading: {} rows", `${Math.max(0, rows).toLocaleString("en")}${all}`));
    }
    const file = document.createElement("a");
    file.href = URL.createObjectURL(new Blob(chunks));
    file.download = name;
    file.click();
    setTimeout(() => URL.revokeObjectURL(file.href), 60000);
    say(word("{} rows downloaded", Math.max(0, rows).toLocaleString("en")));
  }

  // --- live tail ---
  let tail = null;

  function toggleTail(button) {
    const on = tail === null;
    clearInterval(tail);
    tail = on ? setInterval(() => document.hidden || refresh(), 2000) : null;
    button.setAttribute("aria-pressed", String(on));
    button.classList.toggle("active", on);
    if (on) window.gnomonPage.go({ sort: null, from: null, to: null }, { replace: true });
  }

  function refresh() {
    const button = document.querySelector('[data-action="tail"]');
    if (!button || !mounted || mounted.api.isDestroyed?.()) {
      clearInterval(tail);
      tail = null;
    } else clientside.gnomonGrid.tick();
  }

  document.addEventListener("click", (event) => {
    const entry = event.target.closest?.("[data-action]");
    if (entry?.dataset.action === "tail") toggleTail(entry);
    if (entry?.dataset.action === "export" && (mounted?.count ?? 0) <= MOST_IN_MEMORY && window.ReadableStream) {
      event.preventDefault();
      save(entry, entry.dataset.value).catch((error) => say(word("The download failed: {}", error.message), true));
    }
  });

  function opensTrace(event) {
    const selected = window.getSelection()?.toString();
    if (!event.data?.href || selected || event.event?.target?.closest?.("a")) return;
    const target = event.event;
    if (target?.ctrlKey || target?.metaKey) window.open(event.data.href, "_blank", "noopener");
    else window.gnomonPage.visit(event.data.href);
  }

  // dash-ag-grid gives the grid a source of its own when it is ready; ours has to come after it
  async function ready(api) {
    for (let frame = 0; frame < 300 && !api.getGridOption("datasource"); frame += 1) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }

  async function mount() {
    const api = await window.dash_ag_grid.getApiAsync(GRID);
    if (mounted?.api === api) return follow(mounted);
    mounted?.aborter?.abort();
    const grid = (mounted = { api, isFollowing: false });
    for (const name of ["sortChanged", "filterChanged"]) api.addEventListener(name, () => onChange(grid));
    api.addEventListener("gridPreDestroyed", () => grid.aborter?.abort());
    api.addEventListener("cellClicked", opensTrace);
    api.addEventListener("cellKeyDown", (event) => event.event?.key === "Enter" && opensTrace(event));
    await ready(api);
    if (mounted !== grid) return;
    showDownloads();
    load(grid);
  }

  clientside.gnomonGrid = {
    mount() {
      mount();
      return nothing();
    },
    tick() {
      if (!mounted || mounted.api.isDestroyed?.()) return nothing();
      // whoever reads further down keeps the rows they read
      if (mounted.api.getVerticalPixelRange().top < 5) {
        mounted.until = null;
        mounted.api.refreshInfiniteCache();
      }
      return nothing();
    },
    rows(value) {
      const current = window.gnomonPage.parameters().get("rows") || "traces";
      if (value && value !== current) window.gnomonPage.go({ rows: value === "calls" ? value : null, cols: null });
      return nothing();
    },
    search(value) {
      window.gnomonPage.go({ q: value || null }, { replace: true });
      return nothing();
    },
    columns(visible) {
      if (!mounted || !visible) return nothing();
      const all = mounted.api.getColumns().map((column) => column.getColId());
      mounted.api.setColumnsVisible(all.filter((id) => !visible.includes(id)), false);
      mounted.api.setColumnsVisible(all.filter((id) => visible.includes(id)), true);
      window.gnomonPage.go({ cols: all.filter((id) => visible.includes(id)).join(",") }, { replace: true });
      return nothing();
    },
    reset() {
      mounted = null;
      window.gnomonPage.go({ q: null, sort: null, filter: null, cols: null });
      // the page is laid out anew, as for a new visit
      window.dash_clientside.set_props("page-key", { data: null });
      window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
      return nothing();
    },
  };

  // --- how cells are drawn; texts are React children, never markup ---
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  functions.gnomonGridTheme = (scheme) => {
    const light = scheme === "light";
    return {
      fontFamily: "inherit",
      fontSize: 13,
      headerFontSize: 12,
      headerFontWeight: 600,
      spacing: 6,
      cellHorizontalPadding: 12,
      wrapperBorderRadius: 10,
      browserColorScheme: scheme,
      backgroundColor: light ? "#ffffff" : "#171c24",
      foregroundColor: light ? "#1c2430" : "#e4e8ee",
      headerBackgroundColor: light ? "#f6f7f9" : "#1e242e",
      headerTextColor: light ? "#5b6675" : "#98a3b3",
      borderColor: light ? "#e6e9ee" : "#2a313c",
      rowHoverColor: light ? "#f1f5fd" : "#1f2733",
      accentColor: light ? "#2563c9" : "#5b93f5",
      columnBorder: false,
    };
  };

  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const element = (...parts) => window.React.createElement(...parts);
  const follows = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    window.gnomonPage.visit(event.currentTarget.getAttribute("href"));
  };
  components.GnomonLink = ({ value, data }) =>
    data ? element("a", { href: data.href, className: "cell-link", onClick: follows, title: value }, value || "(no name)") : null;
  components.GnomonId = ({ value }) => (value ? element("span", { title: value }, value.slice(0, 10)) : null);
  components.GnomonStatus = ({ value }) =>
    value ? element("span", { className: `status-badge status-${value}` }, value) : null;
})();
