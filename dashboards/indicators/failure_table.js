// The failed items of a run; a traceback unfolds.
function FailureTable(page) {
  const list = h("ul", {class: "items"})
  const nothing = h("div", {class: "empty"})
  const range = h("span", {class: "soft small"})
  const older = h("button", {class: "btn", type: "button", onclick: () => page.send({type: "page", towards: "older"})}, "Previous")
  const newer = h("button", {class: "btn", type: "button", onclick: () => page.send({type: "page", towards: "newer"})}, "Next")
  const pager = h("div", {class: "pager"}, older, range, newer)
  const node = h("div", null, list, nothing, pager)
  let drawn = []
  const draw = (failure) => {
    const facts = [h("span", {class: "item"}, failure.item), h("span", {class: "in-phase soft"}, failure.phase),
      h("span", {class: "why", dir: "auto"}, h("b", null, failure.type), failure.message ? `: ${failure.message}` : "")]
    if (!failure.traceback) { return h("li", null, h("div", {class: "plain"}, facts)) }
    return h("li", null, h("details", null, h("summary", null, facts), h("pre", {tabindex: 0}, failure.traceback)))
  }
  const show = (state) => {
    drawn = redraw(list, drawn, state.items, draw)
    nothing.style.display = drawn.length ? "none" : ""
    set_text(nothing, state.busy ? "Reading…" : state.total ? "The failed items are not at hand." : state.over ? "No item failed." : "No item has failed so far.")
    const paged = state.older || state.newer || state.total > drawn.length
    pager.style.display = paged && drawn.length ? "" : "none"
    older.disabled = !state.older || state.busy
    newer.disabled = !state.newer || state.busy
    set_text(range, `${(state.first + 1).toLocaleString("en")} to ${(state.first + drawn.length).toLocaleString("en")} of ${state.total.toLocaleString("en")}`)
  }
  return {node, show}
}

export default component(FailureTable)
