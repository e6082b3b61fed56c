// The waterfall: only the rows in view are in the page, so 10,000 spans scroll as smoothly as ten.
// Every text is set with textContent.
(function () {
  "use strict";
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  const ROW = 30;
  const SPARE = 12;
  let shown = null;

  function part(tag, className, text) {
    const node = document.createElement(tag);
    node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function visibleRows(state) {
    const rows = [];
    for (let index = 0; index < state.rows.length; index += 1) {
      const row = state.rows[index];
      rows.push(row);
      if (state.folded.has(row.id)) index += row.below;
    }
    return rows;
  }

  function select(state, id) {
    state.selected = id;
    window.gnomonPage.go({ span: id }, { replace: true });
    render(state, true);
  }

  function fold(state, id) {
    if (!state.folded.delete(id)) state.folded.add(id);
    state.visible = visibleRows(state);
    render(state, true);
  }

  function drawn(state, row, index) {
    const line = part("div", `wf-row${row.id === state.selected ? " selected" : ""}${row.status === "error" ? " error" : ""}`);
    line.style.transform = `translateY(${index * ROW}px)`;
    line.setAttribute("role", "treeitem");
    line.setAttribute("aria-level", row.depth + 1);
    line.setAttribute("aria-selected", row.id === state.selected);
    line.dataset.id = row.id;
    line.dataset.index = index;
    const label = part("div", "wf-label");
    label.style.paddingLeft = `${Math.min(row.depth, 14) * 14 + 4}px`;
    const toggle = part("span", `wf-toggle${row.below ? (state.folded.has(row.id) ? " folded" : " open") : ""}`);
    label.append(toggle, part("span", `shape shape-${row.kind} kind-${row.kind}`), part("span", "wf-name", row.name));
    if (row.below && state.folded.has(row.id)) label.append(part("span", "wf-below", `+${row.below}`));
    label.title = `${row.name} · ${row.kind}${row.service ? ` · ${row.service}` : ""}`;
    const track = part("div", "wf-track");
    const bar = part("span", `wf-bar bar-${row.status === "error" ? "error" : row.kind}`);
    bar.style.left = `${row.left * 100}%`;
    bar.style.width = `max(2px, ${Math.min(row.width, 1 - row.left) * 100}%)`;
    const text = part("span", "wf-time", row.duration);
    if (row.facts) text.append(part("span", "wf-facts", ` · ${row.facts}`));
    const end = row.left + row.width;
    if (end < 0.62) text.style.left = `calc(${end * 100}% + 6px)`;
    else if (row.left > 0.4) text.style.right = `calc(${(1 - row.left) * 100}% + 6px)`;
    else {
      text.style.right = `calc(${Math.max(0, 1 - end) * 100}% + 6px)`;
      text.classList.add("inside");
    }
    track.append(bar, text);
    line.append(label, track);
    return line;
  }

  function render(state, force) {
    const first = Math.max(0, Math.floor(state.list.scrollTop / ROW) - SPARE);
    const last = Math.min(state.visible.length, Math.ceil((state.list.scrollTop + state.list.clientHeight) / ROW) + SPARE);
    if (!force && first === state.first && last === state.last) return;
    [state.first, state.last] = [first, last];
    state.space.style.height = `${state.visible.length * ROW}px`;
    state.space.replaceChildren(...state.visible.slice(first, last).map((row, index) => drawn(state, row, first + index)));
  }

  function move(state, step) {
    const index = state.visible.findIndex((row) => row.id === state.selected);
    const next = Math.min(state.visible.length - 1, Math.max(0, index + step));
    const top = next * ROW;
    if (top < state.list.scrollTop) state.list.scrollTop = top;
    if (top + ROW > state.list.scrollTop + state.list.clientHeight) state.list.scrollTop = top + ROW - state.list.clientHeight;
    select(state, state.visible[next].id);
  }

  function onKey(state, event) {
    const row = state.rows.find((one) => one.id === state.selected);
    const keys = {
      ArrowDown: () => move(state, 1),
      ArrowUp: () => move(state, -1),
      j: () => move(state, 1),
      k: () => move(state, -1),
      ArrowRight: () => row?.below && state.folded.has(row.id) && fold(state, row.id),
      ArrowLeft: () => row?.below && !state.folded.has(row.id) && fold(state, row.id),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  function build(place, data) {
    const list = part("div", "wf-list");
    list.setAttribute("role", "tree");
    list.setAttribute("aria-label", "Spans of the trace");
    list.tabIndex = 0;
    const space = part("div", "wf-space");
    list.append(space);
    const axis = part("div", "wf-axis");
    axis.append(part("div", "wf-label", `${data.rows.length.toLocaleString("en")} span${data.rows.length === 1 ? "" : "s"}`));
    const ticks = part("div", "wf-track");
    data.ticks.forEach((text, index) => {
      const tick = part("span", "wf-tick", text);
      if (index === data.ticks.length - 1) tick.style.right = "0";
      else tick.style.left = `${(index / (data.ticks.length - 1)) * 100}%`;
      ticks.append(tick);
    });
    axis.append(ticks);
    place.replaceChildren(axis, list);
    const state = { data, list, space, rows: data.rows, folded: new Set(), selected: null, first: -1, last: -1 };
    state.visible = state.rows;
    list.addEventListener("scroll", () => render(state, false), { passive: true });
    list.addEventListener("keydown", (event) => onKey(state, event));
    list.addEventListener("click", (event) => {
      const line = event.target.closest(".wf-row");
      if (!line) return;
      if (event.target.closest(".wf-toggle.open, .wf-toggle.folded")) fold(state, line.dataset.id);
      else select(state, line.dataset.id);
    });
    new ResizeObserver(() => render(state, true)).observe(list);
    return state;
  }

  clientside.gnomonWaterfall = {
    draw(data) {
      const place = document.getElementById("waterfall");
      if (place && data) place.parentElement.hidden = !data.rows.length;
      if (place && data && data.rows.length) {
        if (!shown || shown.data !== data || !place.contains(shown.list)) shown = build(place, data);
        const wanted = window.gnomonPage.parameters().get("span") || data.selected;
        const index = shown.visible.findIndex((row) => row.id === wanted);
        const isNew = shown.selected === null;
        shown.selected = wanted;
        if (isNew && index * ROW > shown.list.clientHeight - 2 * ROW) shown.list.scrollTop = (index - 4) * ROW;
        render(shown, true);
      } else if (place) place.replaceChildren();
      return window.dash_clientside.no_update;
    },
  };
})();
