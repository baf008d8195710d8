// What to know first, as a banner, or as all there is on a page.
function Notice(page) {
  const node = h("div")
  const show = (state) => {
    const {kind, title, text, code, link, page} = state
    if (kind === "") { node.replaceChildren(); return }
    const moving = kind === "away" || kind === "connecting"
    if (page) {
      node.replaceChildren(h("div", {class: "card page-note", role: "status"},
        moving ? h("div", {class: "spin"}) : null, h("h1", null, title), h("p", null, text),
        code ? h("div", null, h("span", {class: "code mono small"}, code)) : null,
        link.length ? h("div", null, h("a", {class: "btn", href: link[0]}, link[1])) : null))
      return
    }
    const tone = kind === "notice" ? "bad" : "warn"
    node.replaceChildren(h("div", {class: "banner", role: kind === "notice" ? "alert" : "status", style: `--tone:var(--st-${tone})`},
      moving ? h("span", {class: "spin"}) : h("span", {class: "mark", "aria-hidden": "true"}, "!"),
      h("p", null, h("b", null, `${title}. `), text)))
  }
  return {node, show}
}

export default component(Notice)
