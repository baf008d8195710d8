
// Runs before anything is painted: says on the document whether the page is dark, and keeps that in step. What the query
// asks for comes before what was chosen here, and that before what the browser prefers. Bar and views follow the attribute.
(function () {
  const root = document.documentElement
  const preferred = matchMedia("(prefers-color-scheme: dark)")
  const look = () => {
    let chosen = new URLSearchParams(location.search).get("theme")
    // Where a browser keeps nothing for a page, asking for it is an error.
    try { chosen ??= localStorage.getItem("streamer-theme") } catch { /* then nothing was chosen */ }
    root.dataset.theme = (chosen ?? (preferred.matches ? "dark" : "light")) === "dark" ? "dark" : "light"
  }
  preferred.addEventListener("change", look)
  addEventListener("storage", look)
  look()
})()
