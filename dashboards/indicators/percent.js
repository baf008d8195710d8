// How far a run is, as one large number, and what it does now.
function Percent(page) {
  const number = document.createTextNode("")
  const unit = h("small")
  const pct = h("div", {class: "pct", role: "progressbar", "aria-label": "Overall progress", "aria-valuemin": 0, "aria-valuemax": 100}, number, unit)
  const phase = h("b")
  const now = h("span")
  const result = h("button", {class: "more", type: "button", onclick: () => page.send({type: "result"})}, "See the result")
  const left = h("b")
  const moment = h("div", {class: "lab"})
  const node = h("div", {class: "progress"}, pct, h("div", {class: "left"}, left, moment), h("div", {class: "now"}, phase, now, " ", result))
  const show = (state) => {
    if (number.data !== state.number) { number.data = state.number }
    set_text(unit, state.unit)
    unit.style.display = state.unit === "" ? "none" : ""
    pct.className = `pct ${state.tone ?? ""}`
    set_attribute(pct, "aria-valuenow", state.value)
    set_attribute(pct, "aria-valuetext", state.spoken)
    set_text(left, state.left)
    write_parts(moment, state.when)
    set_text(phase, state.phase)
    // A number is not parted from its unit where the line breaks.
    set_text(now, `${state.phase && state.now ? " · " : ""}${state.now.replace(/ (?=[^ ]+\/(s|min|h)$)/, "\u00a0")}`)
    result.style.display = state.result ? "" : "none"
  }
  return {node, show}
}

export default component(Percent)
