// The bar of every page: where the reader is, as links, who they are, and whether the page is dark. Keeps the window's
// title and address in step with the page, and goes to another page when it is told to. What is shown is set as text.

const CSS = `
:host { display: block; flex: 1 1 auto !important; min-width: 0; width: 100% !important; }
.top { display: flex; align-items: center; gap: 0 14px; font: 14px/1.45 "Streamer Sans", Roboto, Inter, "DejaVu Sans", sans-serif;
  color: var(--st-soft, #5b6573); min-width: 0; padding: 0 0 0 14px; }
nav { flex: 1 1 auto; min-width: 0; }
ol { display: flex; list-style: none; margin: 0; padding: 0; min-width: 0; flex: 1 1 auto; }
li { white-space: nowrap; min-width: 0; overflow: hidden; text-overflow: ellipsis; flex: 0 1 auto; unicode-bidi: isolate; }
li:first-child { flex: none; }
li + li::before { content: "/"; margin: 0 .3em; }
li:last-child:not(:first-child):not(:nth-child(2)) { flex: none; }
a { color: inherit; text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible { outline: 2px solid var(--st-accent, #0b6bcb); outline-offset: 2px; }
.owner { flex: 0 1 auto; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 30%; }
.lost { position: fixed; bottom: 20px; left: 50%; transform: translateX(-50%); width: max-content; max-width: min(640px, calc(100vw - 28px));
  box-sizing: border-box; padding: 11px 18px; border-radius: 12px; border: 1px solid var(--st-warn, #8f5f00); background: var(--st-paper, #fff);
  color: var(--st-ink, #14181f); box-shadow: 0 4px 18px rgb(8 12 18 / .22); white-space: normal; }
.lost button { width: auto; height: auto; margin: 0; display: inline; color: var(--st-accent, #0b6bcb); font: inherit; font-weight: 600; }
button { flex: none; width: 32px; height: 32px; margin-right: -9px; border: 0; border-radius: 8px; background: none; padding: 0;
  color: inherit; cursor: pointer; display: grid; place-items: center; }
button span { width: 15px; height: 15px; border: 1.6px solid; border-radius: 50%;
  background: linear-gradient(90deg, transparent 50%, currentColor 50%); }
button:hover { color: var(--st-ink, #14181f); }
button:focus-visible { outline: 2px solid var(--st-accent, #0b6bcb); outline-offset: -2px; }
@media (max-width: 640px) { .owner { display: none; } }
`

function plain(value) {
  if (value instanceof Map) { return Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)])) }
  return Array.isArray(value) ? value.map(plain) : value
}

const PageFrame = {
  render({model, view, el}) {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(CSS)
    const root = el.getRootNode()
    if (root instanceof ShadowRoot) { root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet] }
    const nav = document.createElement("nav")
    nav.setAttribute("aria-label", "Breadcrumb")
    const list = document.createElement("ol")
    const owner = document.createElement("span")
    owner.className = "owner"
    owner.title = "You"
    nav.append(list)
    const bar = document.createElement("div")
    bar.className = "top"
    bar.append(nav, owner, theme_toggle(model))
    view.model.document.on_event("connection_lost", () => lost(bar, model.form))
    let crumbs = null
    const show = () => {
      const state = plain(model.state)
      const key = JSON.stringify(state.crumbs)
      if (key !== crumbs) {
        crumbs = key
        list.replaceChildren(...state.crumbs.map(([text, href], index) => {
          const item = document.createElement("li")
          const last = index === state.crumbs.length - 1
          const inner = document.createElement(href === "" ? "span" : "a")
          if (href !== "") { inner.href = href }
          if (last) { inner.setAttribute("aria-current", "page") }
          inner.textContent = text
          item.title = text
          item.append(inner)
          return item
        }))
      }
      owner.textContent = state.owner
      document.title = state.title
      if (state.go !== "") {
        location.assign(state.go)
      } else if (state.query !== kept(location.search)) {
        // What a reader chose is no step to go back to; what they came by is.
        history.replaceState(history.state, "", `${location.pathname}${state.query}${theme(state.query)}${location.hash}`)
      }
    }
    model.on("state", show)
    show()
    return bar
  },
}

// Without its server a page changes no more, and looks as if nothing happened: that is said, and the page loads anew when the
// server answers. Its address holds what it shows. A form is the reader's to load anew.
function lost(bar, form) {
  if (bar.querySelector(".lost") != null) { return }
  const notice = document.createElement("div")
  notice.className = "lost"
  notice.setAttribute("role", "status")
  const title = document.createElement("b")
  title.textContent = "The connection is lost. "
  const text = document.createElement("span")
  text.textContent = form ? "The form can be sent when its server is back and the page is loaded anew."
    : "What is shown is how it was. This page goes on by itself as soon as its server is back."
  notice.append(title, text)
  bar.append(notice)
  const script = document.querySelector("script[src*='/js/bokeh']").src
  // All pages of a server lose it together, and must not come back together; one that is lost at once waits longer.
  let seconds = performance.now() < 10_000 ? 8 : 1
  const ask = async () => {
    const answer = await fetch(script, {method: "HEAD", cache: "no-store"}).catch(() => null)
    if (answer?.ok && !form) { location.reload(); return }
    if (answer?.ok) {
      const again = document.createElement("button")
      again.type = "button"
      again.textContent = "Load anew"
      again.addEventListener("click", () => location.reload())
      title.textContent = "The connection was lost. "
      text.textContent = "Its server is back. What is typed here goes when the page is loaded anew. "
      notice.append(again)
      return
    }
    seconds = Math.min(seconds * 1.5, 10)
    later()
  }
  const later = () => setTimeout(ask, seconds * (750 + 500 * Math.random()))
  later()
}

// Says on the document what was chosen, and remembers it; `head.js` has said it first. An address that asks for a theme no
// longer does: what the reader chose wins.
function theme_toggle(model) {
  const root = document.documentElement
  const button = document.createElement("button")
  button.type = "button"
  button.title = "Light or dark"
  button.setAttribute("aria-label", "Dark theme")
  button.append(document.createElement("span"))
  const is_dark = () => root.dataset.theme === "dark"
  const show = () => button.setAttribute("aria-pressed", String(is_dark()))
  button.addEventListener("click", () => {
    const chosen = is_dark() ? "light" : "dark"
    // Where a browser keeps nothing for a page, it lasts as long as the page.
    try { localStorage.setItem("streamer-theme", chosen) } catch { /* not remembered */ }
    history.replaceState(history.state, "", `${location.pathname}${kept(location.search)}${location.hash}`)
    root.dataset.theme = chosen
  })
  const observer = new MutationObserver(show)
  observer.observe(root, {attributes: true, attributeFilter: ["data-theme"]})
  model.on("lifecycle:remove", () => observer.disconnect())
  show()
  return button
}

// `theme` is the page's own word in the query: it stays where it is.
function kept(search) {
  const query = new URLSearchParams(search)
  query.delete("theme")
  const text = query.toString()
  return text === "" ? "" : `?${text}`
}

function theme(query) {
  const chosen = new URLSearchParams(location.search).get("theme")
  if (chosen == null) { return "" }
  return `${query === "" ? "?" : "&"}theme=${encodeURIComponent(chosen)}`
}

export default {PageFrame}
