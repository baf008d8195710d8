// The bars inside a run, as a tree.
function Bars(page) {
  const list = h("ul", {class: "tree", tabindex: 0, "aria-label": "Bars inside this run"})
  const more = h("li", {class: "soft", style: "--depth:0"})
  const node = h("div", null, list)
  const rows = new Map()
  const draw = (row) => {
    if (row.depth === 0) { return {item: h("li", {class: "phase-name", dir: "auto", style: "--depth:0"}, row.name)} }
    const name = h("span", {class: "name", dir: "auto"})
    const detail = h("span", {class: "detail"})
    const fill = h("i")
    const mini = h("span", {class: "mini", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100}, fill)
    return {item: h("li", {style: `--depth:${row.depth - 1}`, "aria-level": row.depth}, name, detail, mini), name, detail, fill, mini}
  }
  const update = (row, {item, name, detail, fill, mini}) => {
    if (row.depth === 0) { return }
    set_text(name, row.name)
    set_attribute(name, "title", row.name.length > 30 ? row.name : null)
    set_text(detail, row.text)
    const tone = {started: "", finished: "ok", stopped: "wait"}[row.kind]
    item.className = row.kind === "started" ? "" : "over"
    mini.className = `mini ${tone} ${row.value == null && row.kind === "started" ? "moving" : ""}`
    fill.style.width = `${row.value ?? 0}%`
    set_attribute(mini, "aria-label", row.name)
    set_attribute(mini, "aria-valuenow", row.value)
    set_attribute(mini, "aria-valuetext", row.spoken)
  }
  const show = (state) => {
    list.style.display = state.rows.length ? "" : "none"
    const ids = state.rows.map((row) => `${row.depth} ${row.id}`)
    for (const [id, {item}] of rows) {
      if (!ids.includes(id)) { item.remove(); rows.delete(id) }
    }
    let at = list.firstElementChild
    state.rows.forEach((row, i) => {
      if (!rows.has(ids[i])) { rows.set(ids[i], draw(row)) }
      const drawn = rows.get(ids[i])
      update(row, drawn)
      if (drawn.item === at) { at = at.nextElementSibling } else { list.insertBefore(drawn.item, at) }
    })
    set_text(more, state.more)
    if (state.more !== "") { list.append(more) } else { more.remove() }
  }
  return {node, show}
}

export default component(Bars)
