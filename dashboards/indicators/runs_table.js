// The list of runs, with its filters; and how to start one when there are none.
const STATUSES = [["", "Any status"], ["queued", "Queued"], ["running", "Running"], ["stalled", "Stalled"], ["cancelling", "Cancelling"],
  ["complete", "Complete"], ["partial", "Partial"], ["failed", "Failed"], ["cancelled", "Cancelled"]]

function RunsTable(page) {
  const counts = h("div", {class: "sub"})
  const start = h("a", {class: "btn primary"}, "Start a pipeline")
  const status = h("select", {class: "in", "aria-label": "Status"},
    STATUSES.map(([value, text]) => h("option", {value}, text)))
  const pipeline = h("select", {class: "in", "aria-label": "Pipeline"})
  const search = h("input", {class: "in", type: "search", placeholder: "Search title, owner, parameters", "aria-label": "Search title, owner, parameters", maxlength: 200})
  const show_status = entered(status, () => page.send({type: "status", status: status.value}))
  const show_pipeline = entered(pipeline, () => page.send({type: "pipeline", pipeline: pipeline.value}))
  const show_search = entered(search, () => page.send({type: "search", search: search.value}), 250)
  const filters = h("div", {class: "filters"}, status, pipeline, search)
  const body = h("tbody")
  const columns = [["Run", ""], ["Status", ""], ["Progress", ""], ["Phase", "lean"], ["Elapsed", "lean"], ["Failed", "lean"], ["Started", "lean"]]
  const table = h("table", {"aria-label": "Runs"}, h("thead", null, h("tr", null, columns.map(([name, kind]) => h("th", {scope: "col", class: kind}, name)))), body)
  const nothing = h("div")
  const more = h("button", {class: "btn", type: "button", onclick: () => page.send({type: "older"})}, "Older runs")
  const foot = h("div", {class: "foot"}, more)
  const node = h("div", null, h("div", {class: "head"}, h("div", null, h("h1", null, "Runs"), counts), start), filters,
    h("section", {class: "card runs"}, table, nothing, foot))

  const rows = new Map()
  // A row is drawn once, and then changed: a click, a focus and a selection are not lost to an update while they are being made.
  const draw = ({href}) => {
    const fill = h("i")
    const parts = {title: h("a", {href, dir: "auto"}), about: h("div", {class: "lab"}), chip: h("span"), fill,
      bar: h("span", {role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100}, fill), progress: h("span"), phase: h("td", {class: "lean phase"}),
      elapsed: h("td", {class: "lean tight"}), failed: h("td"), began: h("td", {class: "lean tight"}), facts: h("td", {class: "phone lab"})}
    const item = h("tr", {onclick: (event) => { if (!event.target.closest("a") && !getSelection()?.toString()) { location.assign(href) } }},
      h("td", {class: "name"}, parts.title, parts.about), h("td", {class: "state"}, parts.chip), h("td", {class: "amount tight"}, parts.bar, parts.progress),
      parts.phase, parts.elapsed, parts.failed, parts.began, parts.facts)
    return {item, ...parts}
  }
  const update = (row, {title, about, chip, bar, fill, progress, phase, elapsed, failed, began, facts}) => {
    set_text(title, row.title)
    set_text(about, row.about)
    set_text(chip, row.word)
    chip.className = `chip ${row.tone} ${row.live ? "live" : ""}`
    bar.className = `mini ${row.tone} ${row.moving ? "moving" : ""}`
    fill.style.width = `${row.value}%`
    set_attribute(bar, "aria-label", `Progress of ${row.title}`)
    set_attribute(bar, "aria-valuenow", row.moving ? null : row.value)
    set_attribute(bar, "aria-valuetext", row.progress)
    set_text(progress, row.progress)
    set_text(phase, row.phase)
    set_attribute(phase, "title", row.phase.length > 14 ? row.phase : null)
    set_text(elapsed, row.elapsed)
    set_text(failed, row.failed)
    failed.className = `lean tight ${row.bad ? "bad" : ""}`
    write_parts(began, [row.when ?? "—"])
    write_parts(facts, in_a_line(row))
  }
  // On a phone the columns that have no room are one line.
  const in_a_line = (row) => {
    const parts = [row.phase, row.elapsed].filter((text) => text !== "—")
    if (row.bad) { parts.push(`${row.failed} failed`) }
    const text = parts.join(" · ")
    return row.when == null ? [text] : text === "" ? [row.when] : [text, " · ", row.when]
  }
  const put = (row) => {
    if (!rows.has(row.run)) { rows.set(row.run, draw(row)) }
    update(row, rows.get(row.run))
  }
  const order = (runs) => {
    for (const [run, {item}] of rows) {
      if (!runs.includes(run)) { item.remove(); rows.delete(run) }
    }
    let at = body.firstElementChild
    for (const run of runs) {
      const {item} = rows.get(run)
      if (item === at) { at = at.nextElementSibling } else { body.insertBefore(item, at) }
    }
  }
  let state = null
  const receive = (change) => {
    change.rows.forEach(put)
    if (change.order != null) { order(change.order) }
    if (state != null) { show(state) }
  }
  const show = (next) => {
    state = next
    set_text(counts, state.counts)
    set_attribute(start, "href", state.start)
    // Without runs the way to start one is below, with the words.
    start.style.display = state.empty && !state.filtered && !state.busy ? "none" : ""
    show_status(state.status)
    const names = ["", ...state.pipelines]
    if (JSON.stringify(names) !== pipeline.dataset.names) {
      pipeline.dataset.names = JSON.stringify(names)
      pipeline.replaceChildren(...names.map((name) => h("option", {value: name}, name === "" ? "Any pipeline" : name)))
    }
    show_pipeline(state.pipeline)
    show_search(state.search)
    filters.style.display = state.empty && !state.filtered ? "none" : ""
    table.style.display = rows.size ? "" : "none"
    foot.style.display = state.older && rows.size ? "" : "none"
    more.disabled = state.busy || !state.asks
    set_text(more, state.busy ? "Reading…" : "Older runs")
    const key = rows.size ? "" : state.busy || !(state.empty || state.filtered) ? "busy" : state.filtered ? "filtered" : `empty ${state.start} ${state.snippet}`
    if (nothing.dataset.key === key) { return }
    nothing.dataset.key = key
    nothing.replaceChildren(...(key === "" ? [] : key === "busy" ? [h("div", {class: "empty"}, "Reading the runs…")]
      : key === "filtered" ? [h("div", {class: "empty"}, h("p", null, "No run matches."),
        h("button", {class: "btn", type: "button", style: "margin-top:14px", onclick: () => page.send({type: "clear"})}, "Show all runs"))]
      : [h("div", {class: "start-empty"}, h("h2", null, "No runs yet"),
        h("p", null, "A run appears here as soon as one is started: from this page, from a script or notebook, or from a terminal."),
        h("pre", {tabindex: 0}, state.snippet), h("a", {class: "btn primary", href: state.start}, "Start a pipeline"))]))
  }
  return {node, show, receive}
}

export default component(RunsTable)
