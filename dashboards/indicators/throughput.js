// Units per second. In a Panel app the curve is a Bokeh figure, which is a child of the component; a widget draws its own.
function Throughput(page) {
  const label = h("span", {class: "lab"})
  const span = h("span", {class: "lab"})
  const holder = h("div", {class: "plot", role: "img"})
  const nothing = h("div", {class: "plot-empty"})
  const node = h("div", null, h("div", {class: "row between"}, label, span), holder, nothing)
  const child = page.part("figure")
  if (child != null) {
    // Bokeh lets keys reach a figure, in which they do nothing. What is within a host of this tabindex is left out.
    child.tabIndex = -1
    holder.append(child)
  }
  let name = ""
  let format = ""
  let colours = null
  const svg = child == null ? make_curve(holder) : null
  const figure = () => {
    for (const one of window.Bokeh?.documents ?? []) {
      const found = one.get_model_by_name(name)
      if (found != null) { return found }
    }
    return null
  }
  // The colours and the format are this browser's own: the server is not told of them.
  const paint = () => {
    const plot = child == null || name === "" || colours == null ? null : figure()
    if (plot == null) { return }
    const set = (model, values) => model.setv(values, {sync: false})
    for (const renderer of plot.renderers) {
      if (renderer.name === "area") { set(renderer.glyph, {fill_color: {value: colours["accent-soft"]}}) }
      if (renderer.name === "line") { set(renderer.glyph, {line_color: {value: colours.accent}}) }
    }
    for (const axis of plot.left) {
      set(axis, {major_label_text_color: colours.soft})
      if (format !== "") { set(axis.formatter, {format}) }
    }
    for (const grid of plot.center) { set(grid, {grid_line_color: colours.line}) }
  }
  on_theme(page, (next) => { colours = next; paint() })
  const show = (state) => {
    set_text(label, state.label)
    set_text(span, state.span)
    holder.classList.toggle("hidden", !state.known)
    nothing.style.display = state.known ? "none" : ""
    set_text(nothing, state.text)
    set_attribute(holder, "aria-label", state.spoken || "Throughput")
    svg?.(state.points ?? [])
    if (name !== state.figure || format !== state.format) {
      name = state.figure
      format = state.format
      paint()
    }
  }
  return {node, show}
}

// Returns what draws points (seconds, rate) as a curve over an area.
function make_curve(holder) {
  const made = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
    for (const [key, value] of Object.entries(attributes)) { element.setAttribute(key, value) }
    return element
  }
  const area = made("path", {fill: "var(--st-accent-soft)"})
  const line = made("path", {fill: "none", stroke: "var(--st-accent)", "stroke-width": 2, "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke"})
  const svg = made("svg", {viewBox: "0 0 100 100", preserveAspectRatio: "none", width: "100%", height: "100%"})
  svg.append(area, line)
  const most = h("span", {class: "lab most"})
  holder.append(svg, most)
  return (points) => {
    if (points.length < 2) { return }
    const last = points[points.length - 1][0] || 1
    const highest = Math.max(...points.map(([, rate]) => rate)) || 1
    const at = points.map(([t, rate]) => `${(100 * t / last).toFixed(2)},${(100 - 88 * rate / highest).toFixed(2)}`)
    line.setAttribute("d", `M${at.join("L")}`)
    area.setAttribute("d", `M${at[0].split(",")[0]},100L${at.join("L")}L100,100Z`)
    set_text(most, highest.toLocaleString("en", {maximumFractionDigits: 1, notation: "compact"}))
  }
}

export default component(Throughput)
