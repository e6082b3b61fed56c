// HTML that no callback changes in part (components/still.py), drawn as React elements of its own: for Dash all of
// it is one component. Texts are texts and never read as HTML, as in Dash's components.
(function () {
  "use strict";
  const React = window.React;

  // as Dash's own Link: the page is exchanged, nothing is loaded
  function follow(event) {
    const { currentTarget: link } = event;
    const isOwn = event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target;
    if (isOwn) return;
    event.preventDefault();
    window.gnomonPage.visit(link.href);
  }

  function drawn(one) {
    if (one === null || typeof one !== "object") return one;
    if (Array.isArray(one)) return React.createElement(React.Fragment, null, ...one.map(drawn));
    const { namespace, type, props } = one;
    const { children = null, ...rest } = props;
    const isLink = namespace === "dash_core_components" && type === "Link";
    const attributes = isLink ? { ...rest, onClick: follow } : rest;
    const inner = Array.isArray(children) ? children : [children];
    return React.createElement(isLink ? "a" : type.toLowerCase(), attributes, ...inner.map(drawn));
  }

  function Still({ tree }) {
    return React.useMemo(() => drawn(tree), [tree]);
  }
  window.gnomonComponents = { Still };
})();
