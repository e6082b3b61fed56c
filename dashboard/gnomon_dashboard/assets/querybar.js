// The query bar: names of fields, and values that they really have, while one types.
(function () {
  "use strict";
  const { part } = window.gnomonPage;
  const WAIT_MS = 120;
  let list = null;
  let asked = 0;
  let timer = null;

  const isBar = (node) => node?.closest?.(".query-bar") && node.tagName === "INPUT";

  // the piece of the query under the caret: where it starts, and what is typed of it
  function piece(input) {
    const before = input.value.slice(0, input.selectionStart ?? input.value.length);
    if ((before.match(/"/g) || []).length % 2) return null;
    const start = before.search(/\S*$/);
    const typed = before.slice(start).replace(/^-/, "");
    const sign = before.slice(start).startsWith("-") ? 1 : 0;
    const colon = typed.indexOf(":");
    if (colon < 0) return /[<>=]/.test(typed) ? null : { at: start + sign, field: "", begin: typed };
    const last = typed.lastIndexOf(",");
    const valueAt = Math.max(colon, last) + 1;
    return { at: start + sign + valueAt, field: typed.slice(0, colon), begin: typed.slice(valueAt) };
  }

  async function suggest(input) {
    const now = piece(input);
    const number = (asked += 1);
    if (!now || (!now.field && !now.begin)) return close();
    const query = window.gnomonPage.parameters();
    query.set("field", now.field.startsWith("score.") ? "score" : now.field);
    query.set("begin", now.begin);
    const response = await fetch(`/api/traces/suggest?${query}`);
    if (!response.ok || number !== asked || document.activeElement !== input) return;
    const answer = await response.json();
    const choices = (answer.fields || answer.values || []).filter((value) => value !== now.begin).slice(0, 12);
    show(input, now, choices, Boolean(answer.fields));
  }

  function close() {
    list?.remove();
    list = null;
  }

  function show(input, now, choices, areFields) {
    close();
    if (!choices.length) return;
    list = part("ul", "suggestions");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Suggestions");
    choices.forEach((value, index) => {
      const item = part("li", index === 0 ? "current" : "", value);
      item.setAttribute("role", "option");
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        accept(input, now, value, areFields);
      });
      list.append(item);
    });
    input.closest(".query-bar").append(list);
  }

  function accept(input, now, value, isField) {
    const quoted = /[\s"]/.test(value) && !isField ? `"${value.replace(/(["\\])/g, "\\$1")}"` : value;
    const end = input.selectionStart ?? input.value.length;
    const after = isField ? (value.endsWith(".") ? "" : ":") : " ";
    const text = input.value.slice(0, now.at) + quoted + after;
    // React's own setter: it must see the change
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text + input.value.slice(end).trimStart());
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.setSelectionRange(text.length, text.length);
    close();
    if (isField) suggest(input);
  }

  function move(step) {
    const items = [...list.children];
    const index = items.findIndex((item) => item.classList.contains("current"));
    items[index]?.classList.remove("current");
    items[(index + step + items.length) % items.length].classList.add("current");
  }

  document.addEventListener("input", (event) => {
    if (!isBar(event.target)) return;
    clearTimeout(timer);
    timer = setTimeout(() => suggest(event.target), WAIT_MS);
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (!isBar(event.target) || !list) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event.key === "ArrowDown" ? 1 : -1);
      else if (event.key === "Tab" || event.key === "Enter") {
        list.querySelector(".current")?.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, cancelable: true }));
      } else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  document.addEventListener("focusout", (event) => isBar(event.target) && setTimeout(close, 100));
})();
