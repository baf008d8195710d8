// The list of runs, with its filters and its order; and how to start one when there are none.
const STATUSES = [["", "Any status"], ["queued", "Queued"], ["running", "Running"], ["stalled", "Stalled"], ["cancelling", "Cancelling"],
  ["complete", "Complete"], ["partial", "Partial"], ["failed", "Failed"], ["cancelled", "Cancelled"], ["failures", "With failed items"]]
const TIMES = [["", "Any time"], ["day", "Last 24 hours"], ["week", "Last 7 days"], ["month", "Last 30 days"]]
const SORTS = [["-created", "Newest first"], ["created", "Oldest first"], ["-elapsed", "Longest first"], ["elapsed", "Shortest first"],
  ["-failed", "Most failed first"], ["failed", "Fewest failed first"], ["title", "By title"], ["-title", "By title, backwards"], ["owner", "By owner"],
  ["-owner", "By owner, backwards"]]
// The columns: title, class, what a click on it sorts by at first, and then.
const COLUMNS = [["Run", "", "title", "-title"], ["Status", ""], ["Progress", ""], ["Phase", "lean"], ["Elapsed", "lean", "-elapsed", "elapsed"],
  ["Failed", "lean", "-failed", "failed"], ["Started", "lean", "-created", "created"]]

function RunsTable(page) {
  const counts = h("div", {class: "sub"})
  const start = h("a", {class: "btn primary"}, "Start a pipeline")
  const options = (pairs) => pairs.map(([value, text]) => h("option", {value}, text))
  const select = (name, pairs, more = "") => h("select", {class: `in ${more}`, "aria-label": name}, options(pairs))
  const choose = (changes) => page.send({type: "choose", ...changes})
  const status = select("Status", STATUSES)
  const within = select("Started", TIMES)
  const sort = select("Order", SORTS, "order")
  const owner = select("Owner", [])
  // Pipelines by name, and scripts, notebooks and commands by title, with a letter before the name.
  const what = select("Pipeline or title", [])
  const search = h("input", {class: "in", type: "search", placeholder: "Search title, owner, parameters", "aria-label": "Search title, owner, parameters", maxlength: 200})
  const show_status = entered(status, () => choose({status: status.value}))
  const show_within = entered(within, () => choose({within: within.value}))
  const show_sort = entered(sort, () => choose({sort: sort.value}))
  const show_owner = entered(owner, () => choose({owner: owner.value}))
  const show_what = entered(what, () => {
    const name = what.value.slice(1)
    choose(what.value.startsWith("t") ? {pipeline: "", title: name} : {pipeline: name, title: ""})
  })
  const show_search = entered(search, () => choose({search: search.value}), 250)
  const filters = h("div", {class: "filters"}, status, what, owner, within, sort, search)
  const heads = COLUMNS.map(([name, kind, first, then]) => {
    const click = () => choose({sort: state?.sort === first ? then : first})
    const inside = first == null ? name : h("button", {type: "button", class: "sort", onclick: click}, name, h("span", {"aria-hidden": "true"}))
    return h("th", {scope: "col", class: kind}, inside)
  })
  const body = h("tbody")
  const table = h("table", {"aria-label": "Runs"}, h("thead", null, h("tr", null, heads)), body)
  const nothing = h("div")
  const more = h("button", {class: "btn", type: "button", onclick: () => page.send({type: "older"})}, "More runs")
  const shown = h("span", {class: "lab"})
  const foot = h("div", {class: "foot"}, shown, more)
  const node = h("div", null, h("div", {class: "head"}, h("div", null, h("h1", null, "Runs"), counts), start), filters,
    h("section", {class: "card runs"}, table, nothing, foot))

  const rows = new Map()
  // A row is drawn once, and then changed: a click, a focus and a selection are not lost to an update while they are being made.
  const draw = ({href}) => {
    const fill = h("i")
    const parts = {title: h("a", {href, dir: "auto"}), about: h("div", {class: "lab"}), chip: h("span"), fill,
      bar: h("span", {role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100}, fill), progress: h("span"), left: h("span", {class: "lab left"}), phase: h("td", {class: "lean phase"}),
      elapsed: h("td", {class: "lean tight"}), failed: h("td"), began: h("td", {class: "lean tight"}), facts: h("td", {class: "phone lab"})}
    const item = h("tr", {onclick: (event) => { if (!event.target.closest("a") && !getSelection()?.toString()) { location.assign(href) } }},
      h("td", {class: "name"}, parts.title, parts.about), h("td", {class: "state"}, parts.chip), h("td", {class: "amount tight"}, parts.bar, parts.progress, parts.left),
      parts.phase, parts.elapsed, parts.failed, parts.began, parts.facts)
    return {item, ...parts}
  }
  const update = (row, {title, about, chip, bar, fill, progress, left, phase, elapsed, failed, began, facts}) => {
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
    set_text(left, row.left === "" ? "" : `${row.left} left`)
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
  // The choices of a select, those of groups last; they are made again only when they changed, since a list may be open.
  const offer = (field, pairs, groups = []) => {
    const key = JSON.stringify([pairs, groups])
    if (key === field.dataset.offered) { return }
    field.dataset.offered = key
    field.replaceChildren(...options(pairs), ...groups.filter(([, inner]) => inner.length > 0).map(([label, inner]) => h("optgroup", {label}, options(inner))))
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
    show_within(state.within)
    show_sort(state.sort)
    offer(owner, [["", "Any owner"], ...state.owners.map((name) => [name, name])])
    show_owner(state.owner)
    const named = (letter, names) => names.map((name) => [letter + name, name])
    offer(what, [["", "Any pipeline or title"]], [["Pipelines", named("p", state.pipelines)], ["Scripts, notebooks, commands", named("t", state.titles)]])
    show_what(state.title ? `t${state.title}` : state.pipeline ? `p${state.pipeline}` : "")
    COLUMNS.forEach(([, , first, then], at) => {
      const order = first == null ? null : state.sort === first || state.sort === then ? (state.sort.startsWith("-") ? "descending" : "ascending") : "none"
      set_attribute(heads[at], "aria-sort", order)
    })
    set_text(shown, state.shown)
    show_search(state.search)
    filters.style.display = state.empty && !state.filtered ? "none" : ""
    table.style.display = rows.size ? "" : "none"
    foot.style.display = state.older && rows.size ? "" : "none"
    more.disabled = state.busy || !state.asks
    set_text(more, state.busy ? "Reading…" : "More runs")
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
