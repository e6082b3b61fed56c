// The page Review: the next answer, its labels as buttons and keys. Texts of answers are set as text, never as HTML.
(function () {
  "use strict";
  const { call, part, word } = window.gnomonPage;
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  const state = { project: "", evaluator: "", item: null, last: null, passed: [], busy: false };
  const place = () => document.querySelector("#review");

  function say(text, className) {
    place()?.replaceChildren(part("p", className || "muted", text));
  }

  async function showProgress() {
    const bar = document.querySelector("#review-evaluators");
    const found = await call("GET", `/api/review/progress?project=${encodeURIComponent(state.project)}`);
    if (!bar) return found;
    bar.replaceChildren(
      ...found.evaluators.map((one) => {
        const chip = part("button", `chip-button${one.evaluator === state.evaluator ? " active" : ""}`);
        chip.type = "button";
        chip.append(part("span", "", one.title), part("span", "muted", ` ${word("{} of {}", one.yours, one.judged)}`));
        chip.title = word(
          "{} labelled by {}, {} by anyone, of {} judged",
          one.yours,
          found.author,
          one.anyones,
          one.judged,
        );
        chip.setAttribute("aria-pressed", String(one.evaluator === state.evaluator));
        chip.addEventListener("click", () => choose(one.evaluator));
        return chip;
      }),
    );
    return found;
  }

  async function choose(evaluator) {
    state.evaluator = evaluator;
    state.passed = [];
    state.last = null;
    await Promise.all([showProgress(), next()]);
  }

  async function next() {
    const body = { project: state.project, evaluator: state.evaluator, passed: state.passed };
    const { item } = await call("POST", "/api/review/next", body);
    state.item = item;
    if (item) show(item);
    else say(word("Nothing is left to label here. The judge brings more as answers come in."));
  }

  function show(item) {
    const head = part("div", "review-head");
    head.append(part("h2", "", item.title), part("p", "muted", item.description));
    const body = part("div", "review-parts");
    for (const one of item.parts) body.append(textPart(one));
    const comment = part("textarea", "review-comment");
    comment.placeholder = word("Comment (optional)");
    comment.setAttribute("aria-label", word("Comment"));
    comment.maxLength = 8000;
    const labels = part("div", "review-labels");
    item.labels.forEach((one, index) => labels.append(labelButton(one, String(index + 1))));
    labels.append(labelButton({ label: "unsure", shown: word("unsure"), meaning: word("I cannot tell") }, "u"));
    place()?.replaceChildren(head, body, labels, comment, part("p", "review-message muted", ""));
  }

  function textPart(one) {
    const box = part(one.kind === "folded" ? "details" : "section", `review-part review-${one.kind}`);
    box.append(part(one.kind === "folded" ? "summary" : "h3", "", one.title), part("pre", "", one.text));
    return box;
  }

  function labelButton(one, key) {
    const button = part("button", "review-label");
    button.type = "button";
    button.dataset.key = key;
    const words = part("span", "");
    words.append(part("strong", "", one.shown), part("span", "muted", ` ${one.meaning}`));
    button.append(part("kbd", "", key), words);
    button.addEventListener("click", () => save(one.label));
    return button;
  }

  async function save(label) {
    if (!state.item || state.busy) return;
    state.busy = true;
    const { title, description, labels, parts, ...item } = state.item;
    const comment = document.querySelector(".review-comment")?.value || "";
    try {
      await call("POST", "/api/review/label", { ...item, project: state.project, label, comment });
      state.last = state.item;
      await Promise.all([showProgress(), next()]);
    } catch (error) {
      const message = document.querySelector(".review-message");
      if (message) message.textContent = word("Not saved: {}", error.message);
    } finally {
      state.busy = false;
    }
  }

  async function skip() {
    if (!state.item || state.busy) return;
    state.passed.push(state.item.task_id);
    await next();
  }

  function again() {
    if (!state.last) return;
    state.item = state.last;
    state.last = null;
    show(state.item);
  }

  let pressedG = 0;
  document.addEventListener("keydown", (event) => {
    // "g" and a letter opens a page: that letter is not for us
    const isShortcut = Date.now() - pressedG < 1500;
    pressedG = event.key === "g" ? Date.now() : 0;
    if (!place() || isShortcut || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") document.activeElement?.blur();
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const button = document.querySelector(`.review-label[data-key="${CSS.escape(event.key)}"]`);
    if (button) button.click();
    else if (event.key === "s") skip();
    else if (event.key === "z") again();
    else if (event.key === "c") document.querySelector(".review-comment")?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);

  clientside.gnomonReview = {
    open() {
      const named = new URLSearchParams(window.location.search).get("project");
      const project = named || document.querySelector("#filter-project")?.value || "";
      if (project !== state.project || !state.item) start(project);
      return window.dash_clientside.no_update;
    },
  };

  async function start(project) {
    state.project = project || (await firstProject());
    state.passed = [];
    try {
      const found = await showProgress();
      const known = found.evaluators.map((one) => one.evaluator);
      if (!known.length) return say(word("Nothing is judged in this project yet, so there is nothing to compare a judge with."));
      await choose(known.includes(state.evaluator) ? state.evaluator : known[0]);
    } catch (error) {
      say(word("The reviews cannot be read: {}", error.message), "overlay-error");
    }
  }

  // The project's control is filled by a callback of its own, which may come later.
  async function firstProject() {
    for (let tries = 0; tries < 50; tries += 1) {
      const value = document.querySelector("#filter-project")?.value;
      if (value) return value;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return "default";
  }
})();
