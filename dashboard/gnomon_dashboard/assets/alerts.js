// Alerts: what the pages write. The server answers with a sentence, which is shown beside the button.
(function () {
  "use strict";

  const value = (id) => document.getElementById(id)?.value.trim() ?? "";
  const rule = () => ({ definition: value("alert-rule-text") });
  const chosen = (button) => ({ id: button.dataset.value });
  const silence = () => ({
    matchers: value("alert-silence-matchers"),
    length: value("alert-silence-for"),
    comment: value("alert-silence-comment"),
  });

  // by the button's action: path under /api/alerts, where the answer is shown, what is sent
  const ACTIONS = {
    "alert-save": ["rules", "alert-rule-state", rule],
    "alert-switch": ["rules/switch", "alert-rule-state", rule],
    "alert-delete": ["rules/delete", "alert-rule-state", rule],
    "alert-silence": ["silences", "alert-silence-state", silence],
    "alert-unsilence": ["silences/end", "alert-silence-state", chosen],
    "alert-ack": ["acknowledge", "alert-ack-state", chosen],
  };

  function say(id, text, isBad) {
    const state = document.getElementById(id);
    if (!state) return;
    state.textContent = text;
    state.classList.toggle("bad", isBad);
  }

  async function act(button, [path, stateId, body]) {
    const { call, parameters } = window.gnomonPage;
    const project = parameters().get("project") || value("filter-project");
    try {
      const answer = await call("POST", `/api/alerts/${path}`, { project, ...body(button) });
      say(stateId, answer.message, false);
      if (answer.definition) window.dash_clientside.set_props("alert-rule-text", { value: answer.definition });
      document.getElementById("refresh-now")?.click();
    } catch (error) {
      say(stateId, error.message, true);
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    const action = button && ACTIONS[button.dataset.action];
    if (action) act(button, action);
    // the editor is further down the page
    if (event.target.closest("#alerts-rules a")) document.querySelector(".alert-editor-row")?.scrollIntoView();
  });
})();
