// The page of one trace: a score, a comment or a correction; a span raw; a call as a script.
(function () {
  "use strict";
  const { call, word } = window.gnomonPage;

  async function post(form) {
    const state = document.getElementById("judge-state");
    const chosen = form.querySelector('[data-action="judge-value"][aria-pressed="true"]');
    const body = {
      project: form.dataset.project,
      trace_id: form.dataset.trace,
      name: document.getElementById("judge-name").value.trim() || "review",
      value: chosen ? Number(chosen.dataset.value) : null,
      comment: document.getElementById("judge-comment").value.trim(),
      correction: document.getElementById("judge-correction").value.trim(),
    };
    if (body.value === null && !body.comment && !body.correction) {
      state.textContent = word("Choose good or bad, or write something.");
      return;
    }
    await call("POST", "/api/scores", body);
    state.textContent = word("Saved");
    document.getElementById("refresh-now")?.click();
  }

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "judge-form") return;
    event.preventDefault();
    post(event.target).catch((error) => (document.getElementById("judge-state").textContent = error.message));
  });

  async function show(title, address) {
    const { text } = await call("GET", address).catch((error) => ({ text: error.message }));
    window.gnomonSheet(title, text);
  }

  const project = () => window.location.search;
  const ACTIONS = {
    "judge-value"(button) {
      const pressed = button.getAttribute("aria-pressed") !== "true";
      for (const one of button.parentElement.querySelectorAll('[data-action="judge-value"]')) {
        one.setAttribute("aria-pressed", "false");
        one.classList.remove("active");
      }
      button.setAttribute("aria-pressed", String(pressed));
      button.classList.toggle("active", pressed);
    },
    "span-raw": ({ dataset }) => show("The span as it is stored", `/api/spans/${dataset.trace}/${dataset.span}${project()}`),
    "span-curl": ({ dataset }) => show("Send it again: curl", script(dataset, "curl")),
    "span-python": ({ dataset }) => show("Send it again: Python", script(dataset, "python")),
  };

  function script(dataset, form) {
    const query = window.gnomonPage.parameters();
    query.set("form", form);
    return `/api/spans/${dataset.trace}/${dataset.span}/replay?${query}`;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-action]");
    ACTIONS[button?.dataset.action]?.(button);
  });
})();
