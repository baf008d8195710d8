// A run's page: where its indicators stand, and the tabs of the last four.
const TAB_NAMES = {log: "Log", failures: "Failed items", parameters: "Parameters", result: "Result"}

function DetailTabs(page) {
  const names = Object.keys(TAB_NAMES)
  const counts = {}
  const buttons = {}
  const panels = {}
  let tab = null
  let state = {counts: {}}
  // What the reader chose and the server has not answered yet: states that were on their way then do not undo it.
  let chosen = null
  const choose = (name) => {
    chosen = tab = name
    show(state)
    page.send({type: "tab", tab: name})
  }
  for (const name of names) {
    counts[name] = h("em")
    buttons[name] = h("button", {type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, onclick: () => choose(name)}, `${TAB_NAMES[name]} `, counts[name])
    panels[name] = h("div", {class: "panel", role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`}, page.part(name))
  }
  const tabs = h("div", {class: "tabs", role: "tablist", "aria-label": "Details", onkeydown: (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key]
    if (step == null) { return }
    const at = names.findIndex((name) => buttons[name].getAttribute("aria-selected") === "true")
    const next = names[(at + step + names.length) % names.length]
    choose(next)
    buttons[next].focus()
  }}, Object.values(buttons))
  const node = h("section", {class: "card details"}, tabs, Object.values(panels))
  const show = (next) => {
    if (next.tab === chosen) { chosen = null }
    state = chosen === null ? next : {...next, tab: chosen}
    // Chosen from elsewhere on the page: it may be out of sight.
    if (tab !== null && tab !== state.tab) { node.scrollIntoView({block: "nearest"}) }
    tab = state.tab
    for (const name of names) {
      set_attribute(buttons[name], "aria-selected", String(state.tab === name))
      buttons[name].tabIndex = state.tab === name ? 0 : -1
      panels[name].hidden = state.tab !== name
      set_text(counts[name], state.counts[name] ?? "")
    }
  }
  return {node, show}
}
function RunView(page) {
  const tabs = DetailTabs(page)
  const known = h("div", null, h("div", {class: "top"}, page.part("status"), page.part("buttons")), page.part("error"),
    h("div", {class: "card hero"}, page.part("percent"), h("div", {class: "apart"}, page.part("phase_bar")), page.part("bars")),
    h("div", {class: "beside"}, h("section", {class: "card pad"}, page.part("throughput")), h("section", {class: "card pad"}, page.part("counts"))), tabs.node)
  const node = h("div", null, page.part("notice"), known)
  const show = (state) => {
    known.hidden = !state.known
    tabs.show(state)
  }
  return {node, show}
}

export default component(RunView)
