// Why a run failed.
function RunError() {
  const node = h("div")
  const show = (state) => {
    if (!state.shown) { node.replaceChildren(); return }
    node.replaceChildren(h("div", {class: "card broken", role: "alert"},
      h("div", {class: "what", dir: "auto"}, h("b", null, state.type), state.message ? `: ${state.message}` : ""),
      state.where ? h("div", {class: "soft small"}, `in phase ${state.where}`) : null,
      state.traceback ? h("details", null, h("summary", null, "Traceback"), h("pre", {tabindex: "0"}, state.traceback)) : null))
  }
  return {node, show}
}

export default component(RunError)
