// The phases of a run.
const GAP = 3
const NARROW_GAP = 2

// The phases as segments that are as wide as their weights, each named below, or in a list where there is no room.
function PhaseBar(page) {
  const bar = h("div", {class: "bar", role: "img"})
  const labels = h("div", {class: "labels", "aria-hidden": "true"})
  const list = h("ul", {class: "list"})
  let all = false
  const more = h("button", {class: "more", type: "button", onclick: () => { all = !all; arrange() }})
  const node = h("div", null, bar, labels, list, more)
  let state = {segments: [], labels: []}
  const parts = []
  const bits = []
  const rows = []
  const mark = (label, always) => (always || !["active", "waiting"].includes(label.kind) ? h("span", {class: `mark ${label.kind}`, "aria-hidden": "true"}, label.mark) : null)
  const gap = () => (state.segments.length <= 12 ? GAP : NARROW_GAP)
  const arrange = () => {
    const width = bar.clientWidth
    if (width === 0) { return }
    labels.style.display = ""
    let fits = true
    let left = 0
    const spare = gap() * (state.segments.length - 1)
    state.labels.forEach((label, i) => {
      const share = state.segments[i].share
      const last = i + 1 === state.labels.length
      bits[i].style.left = `calc((100% - ${spare}px) * ${left} + ${gap() * i}px)`
      // The longest wording that has room; when not even the shortest has, all go into the list.
      fits &&= label.details.some((text) => {
        set_text(bits[i].lastElementChild, text)
        return bits[i].offsetWidth - (last ? 10 : 0) <= share * (width - spare) + (last ? 0 : gap())
      })
      left += share
    })
    labels.style.display = fits && state.labels.length > 0 ? "" : "none"
    list.style.display = fits || state.labels.length === 0 ? "none" : ""
    const long = state.labels.length > 9
    const at = Math.max(state.labels.findIndex((label) => ["active", "failed", "stopped"].includes(label.kind)), 0)
    const first = Math.min(Math.max(at - 2, 0), Math.max(state.labels.length - 6, 0))
    const narrow = width < 560
    rows.forEach((row, i) => { row.style.display = long && narrow && !all && (i < first || i >= first + 6) ? "none" : "" })
    more.style.display = !fits && long && narrow ? "" : "none"
    set_text(more, all ? "Fewer phases" : `All ${state.labels.length} phases`)
  }
  const observer = new ResizeObserver(arrange)
  observer.observe(node)
  page.on_remove(() => observer.disconnect())
  document.fonts?.ready.then(arrange)
  const show = (next) => {
    const before = state
    state = next
    set_attribute(bar, "aria-label", next.spoken)
    bar.style.gap = `${gap()}px`
    next.segments.forEach((segment, i) => {
      if (parts[i] == null) {
        parts[i] = h("div", null, h("i"))
        bar.append(parts[i])
      }
      parts[i].className = `segment ${segment.kind} ${segment.moving ? "moving" : ""}`
      parts[i].style.flexGrow = segment.share
      parts[i].firstElementChild.style.width = `${segment.fill * 100}%`
    })
    for (const extra of parts.splice(next.segments.length)) { extra.remove() }
    next.labels.forEach((label, i) => {
      if (JSON.stringify(before.labels[i]) === JSON.stringify(label) && bits[i] != null) { return }
      const bit = h("div", {title: `${label.name} · ${label.details[0]}`},
        h("div", {class: "name"}, mark(label, false), label.name), h("div", {class: "detail"}, label.details[0]))
      const row = h("li", {class: label.kind, title: label.name}, h("span", {class: "name"}, mark(label, true), label.name), h("span", {class: "detail"}, label.details[0]))
      if (bits[i] == null) { labels.append(bit); list.append(row) } else { bits[i].replaceWith(bit); rows[i].replaceWith(row) }
      bits[i] = bit
      rows[i] = row
    })
    for (const extra of [...bits.splice(next.labels.length), ...rows.splice(next.labels.length)]) { extra.remove() }
    arrange()
  }
  return {node, show}
}

export default component(PhaseBar)
