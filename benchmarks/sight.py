"""When something is seen in a page of Chromium: a script that notes it in the page itself, by the machine's clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Milliseconds after which what must be seen counts as never seen.
PATIENCE = 120_000
VIEWPORT = {"width": 1280, "height": 1600}

_WATCH = """
window.seen = {socket: {}, tree: {}, drawn: {}}
const pattern = new RegExp(PATTERN, "g")
const now = () => performance.timeOrigin + performance.now()
const names = (text) => [...text.matchAll(pattern)].map((found) => found[1])
const note = (place, some) => { const time = now(); for (const one of some) { window.seen[place][one] ??= time } }
const Socket = window.WebSocket
window.WebSocket = class extends Socket {
  constructor(...values) {
    super(...values)
    this.addEventListener("message", ({data}) => { if (typeof data === "string") { note("socket", names(data)) } })
  }
}
const is_shown = (node) => (node instanceof Element ? node : node.parentElement)?.getClientRects().length > 0
const observer = new MutationObserver((changes) => {
  const nodes = changes.flatMap((change) => [...change.addedNodes])
  const found = nodes.map((node) => [node, names(node.textContent ?? "")]).filter(([, some]) => some.length > 0)
  if (found.length === 0) { return }
  note("tree", found.flatMap(([, some]) => some))
  // A message that is sent before a frame is drawn arrives after it.
  requestAnimationFrame(() => {
    const {port1, port2} = new MessageChannel()
    port1.onmessage = () => {
      note("drawn", found.filter(([node]) => is_shown(node)).flatMap(([, some]) => some))
      port1.close()
    }
    port2.postMessage(null)
  })
})
const attach = Element.prototype.attachShadow
Element.prototype.attachShadow = function (options) {
  const root = attach.call(this, options)
  observer.observe(root, {childList: true, subtree: true})
  return root
}
"""


def watch(pattern: str) -> str:
    """Return a script for a page that is to be opened: `seen.drawn`, `seen.tree` and `seen.socket` become when.

    They map what the regular expression's group matched to POSIX milliseconds: when a frame with it was drawn, when it
    came into the page's tree, and when through its WebSocket, the first time each.
    """
    return _WATCH.replace("PATTERN", json.dumps(pattern))


def seconds_to_see(browser: Browser, url: str, pattern: str) -> float:
    """Open a page; return the seconds until what matches was drawn."""
    page = browser.new_page(viewport=VIEWPORT)
    try:
        page.add_init_script(watch(f"({pattern})"))
        page.goto(url, wait_until="commit", timeout=PATIENCE)
        page.wait_for_function("Object.keys(window.seen.drawn).length > 0", timeout=PATIENCE)
        taken = page.evaluate("Math.min(...Object.values(window.seen.drawn)) - performance.timeOrigin")
    finally:
        page.close()
    return float(taken) / 1000
