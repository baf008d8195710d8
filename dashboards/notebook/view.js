// The view of a cell's output. It shows `html`, which Python made of escaped text, and keeps what its reader did to it
// (what is unfolded, scrolled, typed) over updates. Messages from Python: {type: "ticket", url, ticket}.

// Seconds without an update after which the view says that it may be old; Python sends one every second.
const OLD_SECONDS = 15
const OLD = "Nothing was heard from the kernel for a while: this is how it was. Run the cell again to see how it is now."

// What the views of one widget share, by its key: a notebook draws an output anew when its file's version is renewed.
const shared = new Map()

// Makes `old` like `fresh` with as few changes as possible.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) { old.data = fresh.data }
    return
  }
  if (old.nodeName === "DETAILS" && old.firstElementChild?.firstChild?.data?.slice(0, 4) !== fresh.firstElementChild?.firstChild?.data?.slice(0, 4)) {
    // Another one stands here now: whether it is open is its own.
    old.replaceWith(fresh)
    return
  }
  const was_renewed = old.dataset?.renewed
  for (const {name, value} of [...fresh.attributes]) {
    if (name !== "open" && old.getAttribute(name) !== value) { old.setAttribute(name, value) }
  }
  for (const {name} of [...old.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) { old.removeAttribute(name) }
  }
  const is_set = old.dataset?.renewed != null && was_renewed !== old.dataset.renewed
  const children = [...fresh.childNodes]
  const {value: fresh_value, checked: fresh_checked} = fresh
  const at_end = old.scrollHeight - old.scrollTop - old.clientHeight < 4
  children.forEach((child, i) => {
    if (i < old.childNodes.length) { morph(old.childNodes[i], child) } else { old.append(child) }
  })
  while (old.childNodes.length > children.length) { old.lastChild.remove() }
  if (is_set) {
    // The pipeline's code has set the field: what was typed there is gone.
    old.checked = fresh_checked
    old.value = fresh_value
  }
  if (at_end && old.nodeName === "PRE") { old.scrollTop = old.scrollHeight }
}

function parse(html) {
  const template = document.createElement("template")
  template.innerHTML = html
  return template.content
}

function button(text, action) {
  const made = document.createElement("button")
  made.type = "button"
  made.textContent = text
  made.style.cssText = "font:600 13px system-ui,sans-serif;padding:5px 14px;border-radius:6px;cursor:pointer;color:inherit;"
    + "background:transparent;border:1px solid rgba(128,128,128,.5)"
  made.addEventListener("click", action)
  return made
}

function render({model, el}) {
  const shown = document.createElement("div")
  const said = document.createElement("div")
  said.setAttribute("role", "status")
  said.style.cssText = "font:13px system-ui,sans-serif;margin:6px 2px 0;min-height:18px"
  const controls = document.createElement("div")
  controls.style.cssText = "display:flex;gap:8px;align-items:center;margin-top:8px"
  el.append(shown, controls, said)
  const key = model.get("key")
  if (!shared.has(key)) { shared.set(key, {ticket: null, said: ""}) }
  const own = shared.get(key)
  let last = Date.now()

  const say = (text) => {
    own.said = text
    if (said.textContent !== text) { said.textContent = text }
  }
  const cancel = async () => {
    arrange(false)
    say("Cancel asked…")
    if (own.ticket != null) {
      try {
        const answer = await fetch(`${own.ticket.url}/cancel`, {
          method: "POST", body: JSON.stringify({by: "a notebook"}), credentials: "omit",
          headers: {"Content-Type": "application/json", "Authorization": `Bearer ${own.ticket.ticket}`},
        })
        if (answer.ok) { say("Cancel asked; the run was told."); return }
        if (answer.status === 409) { say("The run is over already."); return }
      } catch {
        // Out of this browser's reach, as in a notebook on another machine: the kernel is asked instead.
      }
    }
    model.send({type: "cancel"})
    say("Cancel asked. The kernel passes it on when it is free.")
  }
  const send = (form, message) => {
    const values = {}
    for (const input of form.elements) {
      if (input.name) { values[input.name] = input.type === "checkbox" ? input.checked : input.value }
    }
    for (const none of form.querySelectorAll("[data-none]")) {
      if (none.checked) { values[none.dataset.none] = null }
    }
    model.send({...message, values, seen: Number(form.dataset.seen ?? 0)})
    say("Sent. The kernel passes it on when it is free.")
  }
  shown.addEventListener("submit", (event) => {
    event.preventDefault()
    send(event.target, {type: "start"})
  })
  shown.addEventListener("change", ({target}) => {
    const name = target.name || target.dataset.none
    if (target.form?.elements[name]?.dataset.watched != null) { send(target.form, {type: "change", name}) }
  })
  // An entry is a value; None is chosen by its own box.
  shown.addEventListener("input", ({target}) => {
    for (const none of target.form?.querySelectorAll("[data-none]") ?? []) {
      if (none.dataset.none === target.name) { none.checked = false }
      if (none === target && none.checked) { target.form.elements[none.dataset.none].value = "" }
    }
  })
  shown.addEventListener("keydown", (event) => {
    // A notebook has its own meaning of Enter.
    if (event.key === "Enter" && event.target.nodeName === "INPUT") {
      event.preventDefault()
      event.target.form?.requestSubmit()
    }
  })
  const arrange = (asking) => {
    if (!model.get("live") || own.ticket == null) { controls.replaceChildren(); return }
    controls.replaceChildren(...(asking
      ? [button("Cancel run", cancel), button("Keep running", () => arrange(false))]
      : [button("Cancel", () => arrange(true))]))
    if (asking) { controls.firstChild.focus() }
  }
  const draw = () => {
    last = Date.now()
    const fresh = document.createElement("div")
    fresh.append(parse(model.get("html")))
    morph(shown, fresh)
    if (!model.get("live") || said.textContent === OLD || said.textContent.startsWith("Sent.")) { say("") }
    if (!model.get("live")) { arrange(false) }
  }
  const receive = (message) => {
    if (message?.type !== "ticket") { return }
    const is_first = own.ticket == null
    own.ticket = message
    if (is_first || controls.childElementCount === 0) { arrange(false) }
    model.send({type: "got"})
  }
  const watch = setInterval(() => {
    if (model.get("live") && Date.now() - last > OLD_SECONDS * 1000) {
      say(OLD)
    }
  }, 1000)
  model.on("change:html", draw)
  model.on("change:live", draw)
  model.on("msg:custom", receive)
  say(own.said)
  arrange(false)
  draw()
  model.send({type: "hello"})
  return () => {
    clearInterval(watch)
    model.off("change:html", draw)
    model.off("change:live", draw)
    model.off("msg:custom", receive)
  }
}

export default {render}
