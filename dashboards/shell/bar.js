
// The bar of every page: where the reader is, as links, who they are, and whether the page is dark. Keeps the window's
// title and address in step with the page, goes to another page when it is told to, and says when the server cannot be
// reached. The bar is there before anything else is loaded. What is shown is set as text.
(function () {
  const bar = document.querySelector(".st-bar")
  const page = JSON.parse(document.getElementById("st-page").textContent)

  let crumbs = null
  function show(where) {
    const key = JSON.stringify(where.crumbs)
    if (key !== crumbs) {
      crumbs = key
      bar.querySelector("ol").replaceChildren(...where.crumbs.map(([text, href], index) => {
        const item = document.createElement("li")
        const inner = document.createElement(href === "" ? "span" : "a")
        if (href !== "") { inner.href = href }
        if (index === where.crumbs.length - 1) { inner.setAttribute("aria-current", "page") }
        inner.textContent = text
        item.title = text
        item.append(inner)
        return item
      }))
    }
    bar.querySelector(".owner").textContent = where.owner
    document.title = where.title
    if (where.go !== "") {
      location.assign(where.go)
    } else if (kept(where.query) !== kept(location.search)) {
      // What a reader chose is no step to go back to; what they came by is.
      history.replaceState(history.state, "", `${location.pathname}${where.query}${theme(where.query)}${location.hash}`)
    }
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

  // Says on the document what was chosen, and remembers it; `head.js` has said it first. An address that asks for a theme
  // no longer does: what the reader chose wins.
  function toggle_theme() {
    const root = document.documentElement
    const button = bar.querySelector("button")
    const is_dark = () => root.dataset.theme === "dark"
    const show = () => button.setAttribute("aria-pressed", String(is_dark()))
    button.addEventListener("click", () => {
      const chosen = is_dark() ? "light" : "dark"
      // Where a browser keeps nothing for a page, it lasts as long as the page.
      try { localStorage.setItem("streamer-theme", chosen) } catch { /* not remembered */ }
      history.replaceState(history.state, "", `${location.pathname}${kept(location.search)}${location.hash}`)
      root.dataset.theme = chosen
    })
    new MutationObserver(show).observe(root, {attributes: true, attributeFilter: ["data-theme"]})
    show()
  }

  // Without its server a page changes no more, and looks as if nothing happened: that is said, and the page loads anew when
  // the server answers. Its address holds what it shows. A form is the reader's to load anew.
  function lost() {
    if (bar.querySelector(".lost") != null) { return }
    const notice = document.createElement("div")
    notice.className = "lost"
    notice.setAttribute("role", "status")
    const title = document.createElement("b")
    title.textContent = "The connection is lost. "
    const text = document.createElement("span")
    text.textContent = page.form ? "The form can be sent when its server is back and the page is loaded anew."
      : "What is shown is how it was. This page goes on by itself as soon as its server is back."
    notice.append(title, text)
    bar.append(notice)
    when_back(() => {
      if (!page.form) { location.reload(); return }
      const again = document.createElement("button")
      again.type = "button"
      again.textContent = "Load anew"
      again.addEventListener("click", () => location.reload())
      title.textContent = "The connection was lost. "
      text.textContent = "Its server is back. What is typed here goes when the page is loaded anew. "
      notice.append(again)
    })
  }

  // Calls `then` when the server answers again; the first look is after about so many seconds.
  function when_back(then, seconds = performance.now() < 10_000 ? 8 : 1) {
    const script = document.querySelector("script[src*='/js/bokeh']").src
    // All pages of a server lose it together, and must not come back together; one that is lost at once waits longer.
    const ask = async () => {
      const answer = await fetch(script, {method: "HEAD", cache: "no-store"}).catch(() => null)
      if (answer?.ok) { then(); return }
      seconds = Math.min(seconds * 1.5, 10)
      later()
    }
    const later = () => setTimeout(ask, seconds * (750 + 500 * Math.random()))
    later()
  }

  // How many times in a row this window's page could not be drawn. Where a browser keeps nothing for a page, each time is the first.
  function count_failures(times) {
    try { sessionStorage.setItem("streamer-failures", times) } catch { /* not remembered */ }
  }

  function failures() {
    try { return Number(sessionStorage.getItem("streamer-failures")) } catch { return 0 }
  }

  // Says why the page is not drawn, and loads it anew. A server that sends the page and refuses its connection time after time does
  // not know the address by which it is reached; nothing changes that but who started it, so it is asked ever less often.
  function not_drawn(loader, problem) {
    const times = failures() + 1
    count_failures(times)
    loader.className = "problem"
    if (times === 1 || window.Bokeh == null) {
      loader.textContent = `${problem} The page is loaded anew when its server answers.`
      when_back(() => location.reload())
      return
    }
    const why = document.createElement("p")
    why.textContent = `The server sent this page and refuses its connection. If it is to be reached as ${location.host}, it has to be started with `
    const option = document.createElement("code")
    option.textContent = `--allow-websocket-origin=${location.host}`
    why.append(option, ".")
    const again = document.createElement("button")
    again.type = "button"
    again.textContent = "Load anew"
    again.addEventListener("click", () => location.reload())
    loader.replaceChildren(why, again)
    when_back(() => location.reload(), Math.min(8 * 2 ** (times - 1), 600))
  }

  // Until the page is drawn its loader is there, or why it is not drawn; then it is tried again when the server answers.
  function watch_loading() {
    const Socket = window.WebSocket
    let problem = ""
    window.WebSocket = class extends Socket {
      constructor(...given) {
        super(...given)
        this.addEventListener("close", () => { problem = "The connection with the server could not be established." })
      }
    }
    const look = () => {
      const loader = document.getElementById("st-loader")
      if (window.Bokeh == null) { problem = "The page's scripts could not be loaded." }
      const root = window.Bokeh?.index.roots[0]
      if (root?.is_idle) {
        loader.remove()
        count_failures(0)
        root.model.document.on_event("connection_lost", lost)
        if (problem !== "") { lost() }
      } else if (problem !== "") {
        not_drawn(loader, problem)
      } else {
        setTimeout(look, 50)
        return
      }
      window.WebSocket = Socket
    }
    addEventListener("DOMContentLoaded", look)
  }

  addEventListener("streamer-where", (event) => show(event.detail))
  show(page.where)
  toggle_theme()
  watch_loading()
})()
