// Parameters or a result: tables, pairs, text.
function Values(page) {
  const node = h("div", {class: "values"})
  let key = ""
  const pairs = (rows) => h("table", {class: "pairs"}, h("tbody", null, rows.map(([name, value, nested]) =>
    h("tr", null, h("th", {scope: "row", dir: "auto"}, name), h("td", null, nested ? h("pre", {class: "nested"}, value) : value)))))
  const table = (state, alone) => h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": state.title || "Result"}, h("table", null,
    state.title ? h("caption", {class: alone ? "seen-by-readers" : "title"}, state.title) : null,
    h("thead", null, h("tr", null, state.columns.map((column) => h("th", {scope: "col", class: column.numeric ? "num-cell" : ""}, column.name)))),
    h("tbody", null, state.rows.map((row) => h("tr", null, row.map((cell, i) => h("td", {class: state.columns[i].numeric ? "num-cell" : cell.length <= 20 && !cell.includes("\n") ? "tight" : ""}, cell)))))))
  const show = (state) => {
    if (JSON.stringify(state) === key) { return }
    key = JSON.stringify(state)
    const parts = []
    if (state.around.length) {
      parts.push(h("div", {class: "facts"}, state.around.map(([name, value]) => h("span", null, h("span", {class: "lab"}, `${name} `), h("b", null, value)))))
    }
    if (state.kind === "empty") { parts.push(h("div", {class: "empty"}, state.note)) }
    for (const one of state.tables) {
      parts.push(table(one, state.tables.length === 1))
      if (one.note) { parts.push(h("div", {class: "note"}, one.note)) }
    }
    if (state.rows.length) { parts.push(pairs(state.rows)) }
    if (state.kind === "text") { parts.push(h("div", {class: "text"}, h("pre", {tabindex: 0}, state.text))) }
    if (state.kind !== "empty" && state.note) { parts.push(h("div", {class: "note"}, state.note)) }
    if (state.error) {
      const said = `${state.error.type}${state.error.message ? `: ${state.error.message}` : ""}`
      parts.push(h("div", {class: "error-text"}, h("pre", {tabindex: 0}, state.error.traceback || said)))
    }
    node.replaceChildren(...parts)
  }
  return {node, show}
}

export default component(Values)
