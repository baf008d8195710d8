// What can be done for a run, in one row. Cancel asks once more.
function RunControls(page) {
  const copied = h("span", {class: "seen-by-readers", "aria-live": "polite"})
  let link = ""
  const copy = h("button", {class: "btn", type: "button", onclick: async () => {
    const done = await copy_text(link === "" ? location.href : link)
    copy.textContent = done ? "Copied" : "Not copied"
    copied.textContent = done ? "The link was copied." : "The link could not be copied; it is in the address bar."
    setTimeout(() => { copy.textContent = "Copy link"; copied.textContent = "" }, 2000)
  }}, "Copy link")
  const dialog = h("dialog", {"aria-labelledby": "question"},
    h("h2", {id: "question"}, "Cancel this run?"),
    h("p", null, "The run stops at its next checkpoint. If it has not stopped after the grace period, its process is terminated. Its results so far stay."),
    h("div", {class: "row"},
      h("button", {class: "btn", type: "button", onclick: () => dialog.close()}, "Keep running"),
      h("button", {class: "btn solid-danger", type: "button", onclick: () => { dialog.close(); page.send({type: "cancel"}) }}, "Cancel run")))
  const cancel = h("button", {class: "btn danger", type: "button", onclick: () => dialog.showModal()}, "Cancel")
  let asks = ""
  // Secrets were not kept: the form asks for them.
  const ask = (type, items) => { if (asks === "") { page.send({type}) } else { location.assign(`${asks}&items=${items}`) } }
  const retry = h("button", {class: "btn", type: "button", onclick: () => ask("retry", "failed")})
  const rest = h("button", {class: "btn", type: "button", onclick: () => ask("rest", "rest")})
  const again = h("a", {class: "btn"}, "Run again…")
  const node = h("div", {class: "controls row"}, copy, retry, rest, again, cancel, copied, dialog)
  const words = {ask: "Cancel", disabled: "Cancel", asked: "Cancel asked…", cancelling: "Cancelling…"}
  const show = (state) => {
    link = state.link
    asks = state.asks
    copy.style.display = state.copy ? "" : "none"
    cancel.style.display = state.cancel === "none" ? "none" : ""
    set_text(cancel, words[state.cancel] ?? "Cancel")
    cancel.disabled = state.cancel !== "ask"
    set_attribute(cancel, "title", state.why || null)
    if (state.cancel !== "ask" && dialog.open) { dialog.close() }
    retry.style.display = state.retry === "none" ? "none" : ""
    retry.disabled = state.retry !== "ask"
    retry.replaceChildren(...(state.retry === "busy" ? [h("span", {class: "spin"}), "Starting…"] : ["Retry failed items"]))
    set_attribute(retry, "title", state.why_retry || null)
    rest.style.display = state.rest === "" ? "none" : ""
    set_text(rest, state.rest)
    set_attribute(rest, "title", state.why_rest || null)
    again.style.display = state.again === "" ? "none" : ""
    set_attribute(again, "href", state.again || null)
  }
  return {node, show}
}

async function copy_text(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Without https the clipboard is out of reach; the old way still works there.
    const field = h("textarea", {style: "position:fixed;opacity:0"})
    field.value = text
    document.body.append(field)
    field.select()
    const done = document.execCommand("copy")
    field.remove()
    return done
  }
}

export default component(RunControls)
