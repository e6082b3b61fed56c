// Alerts: what the pages write. The server answers with a sentence, which is shown beside the button.
(function () {
  "use strict";

  const value = (id) => document.getElementById(id)?.value.trim() ?? "";

  const ACTIONS = {
    "alert-save": ["rules", "alert-rule-state", () => ({ definition: value("alert-rule-text") })],
    "alert-delete": ["rules/delete", "alert-rule-state", () => ({ definition: value("alert-rule-text") })],
    "alert-silence": [
      "silences",
      "alert-silence-state",
      () => ({
        matchers: value("alert-silence-matchers"),
        length: value("alert-silence-for"),
        comment: value("alert-silence-comment"),
      }),
    ],
    "alert-unsilence": ["silences/end", "alert-silence-state", (button) => ({ id: button.dataset.value })],
    "alert-ack": ["acknowledge", "alert-ack-state", (button) => ({ id: button.dataset.value })],
  };

  async function post(button, [path, stateId, body]) {
    const project = new URLSearchParams(location.search).get("project") || value("filter-project");
    const response = await fetch(`/api/alerts/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ project, ...body(button) }),
    });
    const answer = await response.json();
    const state = document.getElementById(stateId);
    if (state) {
      state.textContent = response.ok ? answer.message : answer.error || "It could not be saved.";
      state.classList.toggle("bad", !response.ok);
    }
    if (response.ok) document.getElementById("refresh-now")?.click();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    const action = button && ACTIONS[button.dataset.action];
    if (!action) return;
    post(button, action).catch((error) => {
      const state = document.getElementById(action[1]);
      if (state) state.textContent = error.message;
    });
  });
})();
