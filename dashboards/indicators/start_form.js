// A choice of pipelines, and the form of one.
function StartForm(page) {
  const offers = h("ul", {class: "card offers", "aria-label": "Pipelines"})
  const title = h("h2")
  const doc = h("p", {class: "doc"})
  const phases = h("ul", {class: "phases", "aria-label": "Phases and their weights"})
  const fields = h("div", {class: "fields"})
  const notice = h("div", {class: "banner refused", role: "alert", style: "--tone:var(--st-bad)"})
  const button = h("button", {class: "btn primary", type: "submit"})
  const why = h("span", {class: "soft small", role: "status"})
  const inputs = new Map()
  const form = h("form", {class: "card form", novalidate: true, onsubmit: (event) => {
    event.preventDefault()
    const values = {}
    for (const [name, {input, none}] of inputs) {
      values[name] = none?.checked ? null : input.type === "checkbox" ? input.checked : input.value
    }
    page.send({type: "start", pipeline: chosen, values})
  }}, title, doc, phases, fields, notice, h("div", {class: "submit"}, button, why))
  const grid = h("div", {class: "start-grid"}, offers, form)
  const nothing = h("div", {class: "card empty", style: "margin-top:20px"})
  const back = h("a", {class: "btn"}, "All runs")
  const about = h("div", {class: "sub"})
  const node = h("div", null, h("div", {class: "head"}, h("div", null, h("h1", null, "Start a pipeline"), about), back), grid, nothing)
  let chosen = null
  let described = ""
  const draw = (field) => {
    const id = `field-${field.name}`
    const about = h("div", {class: "help", id: `${id}-help`}, field.help)
    const wrong = h("div", {class: "wrong", id: `${id}-wrong`})
    const common = {id, name: field.name, class: "in", "aria-describedby": `${id}-help ${id}-wrong`, "aria-required": field.required ? "true" : null}
    const label = h("label", {for: id}, field.label, h("small", null, [field.hint, field.required ? "required" : ""].filter(Boolean).join(" · ")))
    let input
    if (field.kind === "boolean") {
      input = h("input", {...common, class: "", type: "checkbox"})
      input.checked = field.value
      inputs.set(field.name, {input, wrong})
      return h("div", {class: "field tick"}, input, label, wrong, field.help ? about : null)
    }
    if (field.kind === "choice") {
      input = h("select", common, field.required && field.value !== "" ? null : h("option", {value: ""}, "—"),
        field.choices.map((choice, i) => h("option", {value: i}, choice)))
    } else if (field.kind === "json" || field.kind === "lines" || field.kind === "any" || field.value.includes("\n")) {
      input = h("textarea", {...common, class: "in mono", spellcheck: "false", rows: 3})
    } else {
      const kinds = {integer: "in short", number: "in short", path: "in mono", date: "in short"}
      input = h("input", {...common, class: kinds[field.kind] ?? "in", type: field.secret && field.kind === "text" ? "password" : field.kind === "date" ? "date" : "text",
        inputmode: {integer: "numeric", number: "decimal"}[field.kind], placeholder: field.nullable ? "none" : field.default || null, spellcheck: "false", autocomplete: field.secret ? "new-password" : "off"})
    }
    input.value = field.value
    let none = null
    let beside = null
    if (field.nullable) {
      none = h("input", {type: "checkbox", id: `${id}-none`})
      none.checked = field.none
      // An entry is a value; None is chosen by its own box.
      input.addEventListener("input", () => { none.checked = false })
      none.addEventListener("change", () => { if (none.checked) { input.value = "" } })
      beside = h("label", {class: "none", for: `${id}-none`}, none, " None")
    }
    inputs.set(field.name, {input, wrong, none})
    return h("div", {class: "field"}, label, input, beside, wrong, field.help ? about : null)
  }
  const show = (state) => {
    set_attribute(back, "href", state.runs)
    set_text(about, state.again ? `Filled with the values of run ${state.again}${{failed: ", of which the failed items are done again", rest: ", of which the failed and the unreached items are done"}[state.items] ?? ""}; the two runs will show each other.` :
      "Choose what to run; its page opens as soon as it is started.")
    grid.style.display = state.pipelines.length ? "" : "none"
    nothing.style.display = state.pipelines.length ? "none" : ""
    set_text(nothing, state.disabled || "No pipelines are on offer. Name modules or folders that hold some in STREAMER_PIPELINES.")
    const key = JSON.stringify([state.pipelines, state.chosen])
    if (offers.dataset.key !== key) {
      offers.dataset.key = key
      offers.replaceChildren(...state.pipelines.map((one) => h("li", null, h("button", {type: "button", "aria-current": one.name === state.chosen ? "true" : "false",
        onclick: () => page.send({type: "choose", name: one.name})}, h("b", null, one.title), h("span", null, one.brief)))))
    }
    set_text(title, state.title)
    set_text(doc, state.doc)
    phases.replaceChildren(...state.phases.map(([name, weight]) => h("li", null, h("b", null, name), weight)))
    phases.style.display = state.phases.length ? "" : "none"
    // The fields are drawn anew for another pipeline only: what was typed stays when the answer comes.
    const shape = JSON.stringify(state.fields.map((field) => ({...field, value: null, none: null})))
    if (chosen !== state.chosen || described !== shape) {
      chosen = state.chosen
      described = shape
      inputs.clear()
      fields.replaceChildren(...state.fields.map(draw))
    }
    let first = null
    for (const [name, {input, wrong, none}] of inputs) {
      const text = state.errors[name] ?? ""
      if (text !== "" && wrong.textContent === "") { first ??= input }
      set_text(wrong, text)
      wrong.style.display = text === "" ? "none" : ""
      set_attribute(input, "aria-invalid", text === "" ? null : "true")
      input.disabled = state.busy
      if (none) { none.disabled = state.busy }
    }
    if (form.contains(button.getRootNode().activeElement)) { first?.focus() }
    notice.style.display = state.notice === "" ? "none" : ""
    notice.replaceChildren(h("span", {class: "mark", "aria-hidden": "true"}, "!"), h("p", null, state.notice))
    button.disabled = state.busy || state.disabled !== ""
    button.replaceChildren(...(state.busy ? [h("span", {class: "spin"}), "Starting…"] : ["Start"]))
    set_text(why, state.busy ? "" : state.disabled)
  }
  return {node, show}
}

export default component(StartForm)
