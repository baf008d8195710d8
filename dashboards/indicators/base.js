// What the indicators share: the look, the theme, small tools, and `component`, which makes a drawing a component of Panel's and a
// widget of anywidget's alike. Everything that is shown is set as text: nothing in here makes markup of data.
//
// A drawing is a function of a page: {send, on_remove, part}. It returns its `node`, `show(state)`, and maybe `receive(news)`.

const sheet = new CSSStyleSheet()
sheet.replaceSync(CSS)

// One per window, whichever view comes first: keeps the document's colours in step with its theme.
function theme() {
  if (window.__streamer_theme != null) { return window.__streamer_theme }
  const root = document.documentElement
  const style = document.createElement("style")
  const rules = (palette, more) => Object.entries({...palette, ...more}).map(([name, value]) => `--st-${name}:${value};`).join("")
  const light = rules(PALETTES.light, {"scheme": "light"})
  const dark = rules(PALETTES.dark, {"scheme": "dark"})
  // A page of the dashboards brings Roboto in 400 and 700 only; the medium between them is taken where it is installed.
  const face = (weight, name) => `@font-face{font-family:"Streamer Sans";font-weight:${weight};src:local("${name}");}`
  const faces = [face(400, "Roboto"), face(500, "Roboto Medium"), face(600, "Roboto Medium"), face(700, "Roboto Bold")].join("")
  style.textContent = `${faces}:root{${light}}:root[data-st-theme=dark]{${dark}}`
  document.head.append(style)
  const own = {dark: null, listeners: new Set()}
  window.__streamer_theme = own
  const look = () => {
    const dark = is_dark()
    if (dark === own.dark) { return }
    own.dark = dark
    root.dataset.stTheme = dark ? "dark" : "light"
    for (const listener of own.listeners) { listener(PALETTES[dark ? "dark" : "light"]) }
  }
  let asked = false
  const soon = () => {
    if (asked) { return }
    asked = true
    requestAnimationFrame(() => { asked = false; look() })
  }
  const observer = new MutationObserver(soon)
  observer.observe(root, {attributes: true, attributeFilter: ["data-theme", "class", "style"]})
  observer.observe(document.body, {attributes: true})
  observer.observe(document.head, {childList: true, characterData: true, subtree: true})
  look()
  return own
}

// A notebook says what it is on its body; a Panel page says which surface colour it has.
function is_dark() {
  const body = document.body.dataset
  if (body.vscodeThemeKind != null) { return /dark|high-contrast$/.test(body.vscodeThemeKind) }
  if (body.jpThemeLight != null) { return body.jpThemeLight === "false" }
  const named = document.documentElement.dataset.theme
  if (named === "dark" || named === "light") { return named === "dark" }
  const surface = getComputedStyle(document.documentElement).getPropertyValue("--panel-surface-color").trim()
  if (surface === "") { return new URLSearchParams(location.search).get("theme") === "dark" }
  const context = document.createElement("canvas").getContext("2d")
  context.fillStyle = surface
  context.fillRect(0, 0, 1, 1)
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data
  return 0.299 * red + 0.587 * green + 0.114 * blue < 110
}

function on_theme(page, listener) {
  const own = theme()
  own.listeners.add(listener)
  page.on_remove(() => own.listeners.delete(listener))
  listener(PALETTES[own.dark ? "dark" : "light"])
}

// Makes an element: attributes, "on…" listeners, and children that are elements or text. Never markup.
function h(name, attributes, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) { continue }
    if (key.startsWith("on")) {
      element.addEventListener(key.slice(2), value)
    } else if (key === "class") {
      element.className = value
    } else {
      element.setAttribute(key, value === true ? "" : String(value))
    }
  }
  for (const child of children.flat()) {
    if (child != null && child !== false) { element.append(child) }
  }
  return element
}

function set_text(element, text) {
  if (element.textContent !== text) { element.textContent = text }
}

function set_attribute(element, name, value) {
  if (value == null || value === false) {
    element.removeAttribute(name)
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value === true ? "" : String(value))
  }
}

const two = (number) => String(number).padStart(2, "0")

// A time of day in the reader's zone, with the date when it is another day.
function time_text(seconds) {
  const date = new Date(seconds * 1000)
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`
  const now = new Date()
  if (date.toDateString() === now.toDateString()) { return clock }
  const options = {day: "numeric", month: "short"}
  if (date.getFullYear() !== now.getFullYear()) { options.year = "numeric" }
  return `${date.toLocaleDateString("en-GB", options)} ${clock}`
}

function time_to_ms(seconds) {
  const date = new Date(seconds * 1000)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`
}

function when(seconds) {
  const iso = new Date(seconds * 1000).toISOString()
  return h("time", {datetime: iso, title: iso}, time_text(seconds))
}

function debounced(action, milliseconds) {
  let timer = null
  return (...values) => {
    clearTimeout(timer)
    timer = setTimeout(() => action(...values), milliseconds)
  }
}

function write_parts(target, parts) {
  const key = JSON.stringify(parts)
  if (target.dataset.key === key) { return }
  target.dataset.key = key
  target.replaceChildren(...parts.map((part) => (typeof part === "number" ? when(part) : document.createTextNode(part))))
}

// Draws those items of a list anew that changed, in their place; what is pressed, chosen or unfolded in the others stays. `keys` are
// what is drawn, and what will be is returned.
function redraw(list, keys, items, draw) {
  const next = items.map((item) => JSON.stringify(item))
  next.forEach((key, i) => {
    if (keys[i] === key) { return }
    const drawn = draw(items[i])
    if (list.children[i] == null) { list.append(drawn) } else { list.children[i].replaceWith(drawn) }
  })
  while (list.children.length > next.length) { list.lastElementChild.remove() }
  return next
}

// Sends what a reader enters in a field, when they pause for so long, and returns what puts the server's value in it: not before the
// server has said what was entered last. States that were on their way then do not undo it.
function entered(field, send, milliseconds = 0) {
  let unanswered = null
  const ask = milliseconds === 0 ? send : debounced(send, milliseconds)
  field.addEventListener("input", () => { unanswered = field.value; ask() })
  return (value) => {
    if (unanswered === value) { unanswered = null }
    if (unanswered === null && field.value !== value) { field.value = value }
  }
}

// The sheet is given to the root that the element is in; an element outside of any shadow root, as in a notebook, gets one of its own.
function dress(el) {
  theme()
  let root = el.getRootNode()
  if (!(root instanceof ShadowRoot)) {
    root = el.shadowRoot ?? el.attachShadow({mode: "open"})
  }
  if (!root.adoptedStyleSheets.includes(sheet)) { root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet] }
  return root === el.getRootNode() ? el : root
}

// A message to Python is a parameter that changes: it is not lost before the component is drawn, and widgets have it as well.
let asked = 0

function component(draw) {
  return {
    render({model, el, view}) {
      const ends = []
      const page = {
        model,
        send: (message) => {
          asked += 1
          model.set("asked", JSON.stringify({...message, number: asked}))
          model.save_changes()
        },
        on_remove: (end) => ends.push(end),
        // Panel's adapter for widgets returns a child's element, but does not have the child drawn; the view's own proxy does.
        part: (name) => (view?.model_proxy ?? model).get_child?.(name) ?? null,
      }
      const {node, show, receive} = draw(page)
      const frame = h("div", {class: "st", role: "group"}, node)
      dress(el).append(frame)
      const watch = (name, action) => {
        model.on(`change:${name}`, action)
        ends.push(() => model.off(`change:${name}`, action))
        action()
      }
      const bound = () => {
        const bounded = model.get("height") != null || String(model.get("sizing_mode") ?? "").match(/stretch_(height|both)/) != null
        frame.classList.toggle("bounded", bounded)
      }
      watch("height", bound)
      watch("page", () => frame.classList.toggle("page", Boolean(model.get("page"))))
      watch("label", () => set_attribute(frame, "aria-label", model.get("label") || null))
      let version = null
      if (receive != null) {
        // News follow one another. A drawing that missed some, as one that was made later, asks for all there is.
        let waiting = false
        watch("news", () => {
          const news = JSON.parse(model.get("news") || "null")
          if (news == null || news.version === version) { return }
          if (!news.whole && news.after !== version) {
            if (!waiting) { waiting = true; page.send({type: "whole"}) }
            return
          }
          waiting = false
          version = news.version
          receive(news)
        })
      }
      if (show != null) {
        watch("content", () => {
          const content = model.get("content")
          if (content) { show(JSON.parse(content)) }
        })
      }
      return () => { for (const end of ends.splice(0)) { end() } }
    },
  }
}
