// A run's head: its name, its status as a chip, who started it, the sentence about its life, and facts in rows.
function Status() {
  const title = h("h1", {dir: "auto"})
  const chip = h("span", {class: "chip", role: "status"})
  const about = h("span")
  const life = h("span", {class: "life"})
  const sub = h("div", {class: "sub"}, about, " ", life)
  const facts = h("dl", {class: "facts"})
  const node = h("div", {class: "status"}, h("div", {class: "title"}, title, chip), sub, facts)
  let drawn = []
  const draw = ({name, parts, tone}) => h("div", null, h("dt", null, name), h("dd", {class: tone}, parts.map(
    (part) => typeof part === "string" ? part : part[1] === "" ? h("span", {class: "mono"}, part[0]) : h("a", {class: "mono", href: part[1]}, part[0]))))
  const show = (state) => {
    set_text(title, state.title)
    title.title = state.title.length > 60 ? state.title : ""
    title.style.display = state.title === "" ? "none" : ""
    set_text(chip, state.word)
    chip.className = `chip ${state.tone} ${state.live ? "live" : ""}`
    chip.style.display = state.word === "" ? "none" : ""
    write_parts(about, state.life && state.about.length ? [...state.about, " ·"] : state.about)
    // It is broken between its parts only.
    set_text(life, state.life.split(" · ").map((part) => part.replaceAll(" ", "\u00a0")).join(" · "))
    life.className = `life ${state.quiet ? "quiet" : ""}`
    sub.style.display = state.about.length || state.life ? "" : "none"
    drawn = redraw(facts, drawn, state.facts, draw)
    facts.style.display = state.facts.length ? "" : "none"
  }
  return {node, show}
}

export default component(Status)
