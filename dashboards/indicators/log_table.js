// A run's log: the lines at hand, which follow the end, and what they are filtered by.
const LEVELS = [["", "All levels"], ["INFO", "Info and up"], ["WARNING", "Warnings and up"], ["ERROR", "Errors"]]
const WINDOW_LINES = 500

function LogTable(page) {
  let state = {level: "", search: "", following: true, older: false, newer: false, busy: false}
  let missed = 0
  const level = h("select", {class: "in", "aria-label": "Level"},
    LEVELS.map(([value, text]) => h("option", {value}, text)))
  const search = h("input", {class: "in", type: "search", placeholder: "Search the whole log", "aria-label": "Search the whole log", maxlength: 200})
  const show_level = entered(level, () => page.send({type: "level", level: level.value}))
  const show_search = entered(search, () => page.send({type: "search", search: search.value}), 300)
  const follow = h("button", {class: "btn follow", type: "button", onclick: () => set_following(!state.following)})
  const older = h("div", {class: "edge"})
  const newer = h("div", {class: "edge"})
  const body = h("div", {role: "rowgroup"})
  const nothing = h("div", {class: "empty"})
  const lines = h("div", {class: "lines", role: "treegrid", "aria-label": "Log", "aria-live": "off", tabindex: 0}, older, body, nothing, newer)
  const pill = h("button", {class: "btn pill", type: "button", hidden: true, onclick: () => set_following(true)})
  const tools = h("div", {class: "tools"}, level, search, follow)
  const node = h("div", {class: "fills"}, tools, h("div", {class: "lines-outer"}, lines, pill))

  // What is drawn, oldest first: the offsets of the rows in `body`.
  let offsets = []
  const draw = ([offset, time, name, phase, message, fields]) => {
    const kind = {WARNING: "warning", ERROR: "error-line", CRITICAL: "error-line", DEBUG: "debug", INFO: "log-info"}[name] ?? ""
    return h("div", {class: `line ${kind}`, role: "row", "aria-expanded": fields ? "false" : null},
      h("span", {class: "time", role: "gridcell", title: new Date(time * 1000).toISOString()}, time_to_ms(time)),
      h("span", {class: "level", role: "gridcell"}, name), h("span", {class: "phase", role: "gridcell", title: phase}, phase),
      h("span", {class: "message", role: "gridcell"}, message),
      fields && h("div", {class: "extra", role: "gridcell"}, fields))
  }
  const fill = (rows) => { body.replaceChildren(...rows.map(draw)); offsets = rows.map((row) => row[0]) }
  const at_end = () => lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24
  // Scrolling by the program is told apart from the reader's by where it led.
  let expected = NaN
  // A reader who has begun to scroll is not pulled back by a line that comes before the browser says so.
  let touched = -Infinity
  const to_end = () => {
    if (performance.now() - touched < 400) { return }
    lines.scrollTop = lines.scrollHeight
    expected = lines.scrollTop
  }
  for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    lines.addEventListener(name, () => { touched = performance.now() }, {passive: true})
  }
  // What the reader chose and the server has not answered yet: states that were on their way then do not undo it.
  let chosen = null
  const set_following = (following) => {
    if (following) { missed = 0; touched = -Infinity; to_end() }
    chosen = following
    show({...state, following})
    page.send({type: "follow", following})
  }
  // Whether a line is open; null: all of it is seen anyway. A message is measured when somebody is there, not as it is drawn.
  const openness = (line) => {
    const message = line.querySelector(".message")
    if (line.classList.contains("open")) { return true }
    return message.scrollHeight > message.clientHeight + 2 || line.querySelector(".extra") != null ? false : null
  }
  const set_open = (line, open) => {
    if (openness(line) === null) { return }
    line.classList.toggle("open", open)
    set_attribute(line, "aria-expanded", String(open))
  }
  body.addEventListener("click", (event) => {
    const line = event.target.closest(".line")
    if (line == null || getSelection()?.toString()) { return }
    choose(line)
    set_open(line, !openness(line))
  })
  // Tab reaches one line, the last that is seen; arrow keys the others from there. Who is there is not taken along to the end.
  let current = null
  const choose = (line) => {
    if (line === current) { return }
    current?.removeAttribute("tabindex")
    current = line
    current?.setAttribute("tabindex", "0")
  }
  const is_there = () => current?.matches(":focus") ?? false
  lines.addEventListener("focus", () => {
    const end = lines.getBoundingClientRect().bottom
    let line = body.lastElementChild
    while (line?.previousElementSibling != null && line.getBoundingClientRect().bottom > end + 2) { line = line.previousElementSibling }
    choose(line)
  })
  body.addEventListener("focusin", () => {
    if (state.following && current.matches(":focus-visible")) { set_following(false) }
    const open = openness(current)
    set_attribute(current, "aria-expanded", open === null ? null : String(open))
  })
  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !is_there()) { return }
    const towards = {ArrowUp: current.previousElementSibling, ArrowDown: current.nextElementSibling,
      Home: body.firstElementChild, End: body.lastElementChild}
    if (event.key in towards) {
      choose(towards[event.key] ?? current)
      current.focus()
    } else if (event.key === "Enter" || event.key === " ") {
      set_open(current, !openness(current))
    } else if (event.key === "Escape" && openness(current)) {
      set_open(current, false)
    } else if (event.key === "Escape") {
      lines.focus()
    } else {
      return
    }
    event.preventDefault()
  })
  lines.addEventListener("scroll", () => {
    const top = lines.scrollTop
    const own = Math.abs(top - expected) < 2
    expected = NaN
    if (own) { return }
    if (state.following && !at_end()) {
      set_following(false)
    } else if (!state.following && at_end() && !state.newer && offsets.length > 0 && !is_there()) {
      set_following(true)
    }
    if (top < 80 && state.older && !state.busy) { page.send({type: "older"}) }
    if (at_end() && state.newer && !state.busy) { page.send({type: "newer"}) }
  })
  const receive = (message) => {
    const {kind, lines: rows} = message
    const there = is_there()
    if (kind === "replaced") {
      fill(rows)
      missed = 0
      if (state.following) { to_end() }
    } else if (kind === "appended") {
      // Those that would fall out at once are not drawn.
      drop(offsets.length + rows.length - WINDOW_LINES, "first")
      body.append(...rows.map(draw))
      offsets.push(...rows.map((row) => row[0]))
      if (state.following) { to_end() } else { missed += rows.length }
    } else if (kind === "prepended") {
      const height = lines.scrollHeight
      body.prepend(...rows.map(draw))
      offsets.unshift(...rows.map((row) => row[0]))
      lines.scrollTop += lines.scrollHeight - height
      expected = lines.scrollTop
      drop(offsets.length - WINDOW_LINES, "last")
    }
    if (!there || !current.isConnected) { choose(body.lastElementChild) }
    if (there && !is_there()) { lines.focus({preventScroll: true}) }
    show(state)
  }
  // Measured once before and once after: between two removals it would lay out all lines again for each.
  const drop = (many, which) => {
    if (many <= 0) { return }
    const moves = which === "first" && !state.following
    const height = moves ? lines.scrollHeight : 0
    for (let i = 0; i < many; i++) { (which === "first" ? body.firstElementChild : body.lastElementChild).remove() }
    if (which === "first") { offsets.splice(0, many) } else { offsets.splice(-many) }
    if (moves) {
      lines.scrollTop -= height - lines.scrollHeight
      expected = lines.scrollTop
    }
  }
  const show = (next, answered = false) => {
    if (chosen !== null) {
      if (answered && next.following === chosen) { chosen = null } else { next = {...next, following: chosen} }
    }
    state = next
    tools.style.display = next.tools ? "" : "none"
    // A run that is over has no more lines to follow.
    follow.style.display = next.over ? "none" : ""
    show_level(next.level)
    show_search(next.search)
    set_attribute(follow, "aria-pressed", String(next.following))
    set_text(follow, next.following ? "Following" : "Follow")
    const filtered = next.level !== "" || next.search !== ""
    nothing.style.display = offsets.length > 0 ? "none" : ""
    set_text(nothing, next.busy || next.any ? "Reading the log…" : filtered ? "No lines match." : next.away ? "The log can be read when the streamer is back." : next.over ? "This run logged nothing." : "No log lines yet.")
    older.style.display = next.older ? "" : "none"
    set_text(older, next.asks ? (next.busy ? "Reading earlier lines…" : "Earlier lines: scroll up") : "Earlier lines are not shown here.")
    newer.style.display = next.newer ? "" : "none"
    set_text(newer, next.asks ? "Later lines: scroll down" : "Later lines are not shown here.")
    pill.hidden = next.following || (missed === 0 && !next.newer)
    set_text(pill, missed > 0 ? `${missed.toLocaleString("en")} new ${missed === 1 ? "line" : "lines"} ↓` : "To the end ↓")
  }
  // Hidden or not yet on the page it cannot scroll; it does when it is first seen.
  const observer = new ResizeObserver(() => { if (state.following) { to_end() } })
  observer.observe(lines)
  page.on_remove(() => observer.disconnect())
  return {node, show: (next) => show(next, true), receive}
}

export default component(LogTable)
