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
  const usual = h("span", {class: "soft small", "aria-live": "polite"})
  // What is drawn of each field, by its name: its node, its controls, what it looks like, what its content was when it was drawn.
  const drawn = new Map()
  let seen = 0
  const value_of = ({input, none}) => none?.checked ? null : input.type === "checkbox" ? input.checked : input.value
  const values_of = () => Object.fromEntries([...drawn].map(([name, one]) => [name, value_of(one)]))
  const form = h("form", {class: "card form", novalidate: true, onsubmit: (event) => {
    event.preventDefault()
    page.send({type: "start", pipeline: chosen, values: values_of(), seen})
  }}, title, doc, phases, fields, notice, h("div", {class: "submit"}, button, usual, why))
  // How long it will take changes with what is entered, a moment after the last key.
  const estimate = debounced(() => page.send({type: "estimate", pipeline: chosen, values: values_of(), seen}), 400)
  form.addEventListener("input", estimate)
  form.addEventListener("change", estimate)
  const grid = h("div", {class: "start-grid"}, offers, form)
  const nothing = h("div", {class: "card empty", style: "margin-top:20px"})
  const back = h("a", {class: "btn"}, "All runs")
  const about = h("div", {class: "sub"})
  const node = h("div", null, h("div", {class: "head"}, h("div", null, h("h1", null, "Start a pipeline"), about), back), grid, nothing)
  let chosen = null
  const draw = (field) => {
    const id = `field-${field.name}`
    const about = h("div", {class: "help", id: `${id}-help`}, field.help)
    const wrong = h("div", {class: "wrong", id: `${id}-wrong`})
    const said = h("div", {class: "said", role: "status"})
    const common = {id, name: field.name, class: "in", "aria-describedby": `${id}-help ${id}-wrong`, "aria-required": field.required ? "true" : null}
    const label = h("label", {for: id}, field.label, h("small", null, [field.hint, field.required ? "required" : ""].filter(Boolean).join(" · ")))
    const changed = () => {
      if (field.watched) { page.send({type: "change", pipeline: chosen, name: field.name, values: values_of(), seen}) }
    }
    let input
    if (field.kind === "boolean") {
      input = h("input", {...common, class: "", type: "checkbox", onchange: changed})
      return {input, wrong, said, none: null, node: h("div", {class: "field tick"}, input, label, wrong, said, field.help ? about : null)}
    }
    if (field.kind === "choice") {
      input = h("select", common, field.required && field.value !== "" ? null : h("option", {value: ""}, "—"),
        field.choices.map((choice, i) => h("option", {value: i}, choice)))
    } else if (field.kind === "json" || field.kind === "lines" || field.kind === "any" || field.value.includes("\n")) {
      input = h("textarea", {...common, class: "in mono", spellcheck: "false", rows: 3})
    } else {
      const kinds = {integer: "in short", number: "in short", path: "in mono", date: "in short"}
      input = h("input", {...common, class: kinds[field.kind] ?? "in", type: field.secret && field.kind === "text" ? "password" : field.kind === "date" ? "date" : "text",
        inputmode: {integer: "numeric", number: "decimal"}[field.kind], placeholder: field.default || null, spellcheck: "false", autocomplete: field.secret ? "new-password" : "off"})
    }
    input.addEventListener("change", changed)
    let none = null
    let beside = null
    let hint = null
    if (field.nullable) {
      // Its name is told apart from those of other fields where it is read alone.
      none = h("input", {type: "checkbox", id: `${id}-none`, "aria-label": `${field.label}: None`})
      // An entry is a value; None is chosen by its own box.
      hint = () => { input.placeholder = none.checked || !["text", "lines"].includes(field.kind) ? "none" : "" }
      input.addEventListener("input", () => { none.checked = false; hint() })
      none.addEventListener("change", () => {
        if (none.checked) { input.value = "" }
        hint()
        changed()
      })
      beside = h("label", {class: "none", for: `${id}-none`}, none, " None")
    }
    return {input, wrong, said, none, hint, node: h("div", {class: "field"}, label, input, beside, wrong, said, field.help ? about : null)}
  }
  const fill = (one, field) => {
    if (one.input.type === "checkbox") { one.input.checked = field.value } else { one.input.value = field.value }
    if (one.none) { one.none.checked = field.none }
    one.filled = value_of(one)
  }
  // Puts into a field that is drawn anew what its reader had entered; a choice is found again by its text.
  const carry = (old, one) => {
    if (old.input.nodeName === "SELECT") {
      const text = old.input.selectedOptions[0]?.textContent
      const found = [...one.input.options ?? []].find((option) => option.textContent === text)
      if (found != null) { one.input.value = found.value }
    } else if (one.input.nodeName !== "SELECT") {
      if (one.input.type === "checkbox") { one.input.checked = old.input.checked } else { one.input.value = old.input.value }
      if (one.none && old.none) { one.none.checked = old.none.checked }
    }
  }
  // Brings a field up to date. What its reader entered stays, unless the pipeline's code has set the field since.
  const renew = (field) => {
    const look = JSON.stringify({...field, value: null, none: null, renewed: null})
    const old = drawn.get(field.name)
    const one = old?.look === look ? old : {...draw(field), look}
    const is_entered = old != null && value_of(old) !== old.filled && field.renewed <= old.renewed
    if (old === one && is_entered) { return one }
    fill(one, field)
    if (is_entered) { carry(old, one) }
    one.hint?.()
    one.renewed = field.renewed
    return one
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
      // On a narrow page the pipelines are a row that scrolls.
      requestAnimationFrame(() => {
        const current = offers.querySelector("[aria-current=true]")
        if (current != null) { offers.scrollLeft = current.getBoundingClientRect().left - offers.getBoundingClientRect().left + offers.scrollLeft - 16 }
      })
    }
    set_text(title, state.title)
    set_text(doc, state.doc)
    phases.replaceChildren(...state.phases.map(([name, weight]) => h("li", null, h("b", null, name), weight)))
    phases.style.display = state.phases.length ? "" : "none"
    if (chosen !== state.chosen) {
      chosen = state.chosen
      drawn.clear()
    }
    const focused = [...drawn].find(([, {input}]) => input === form.getRootNode().activeElement)?.[0]
    const next = state.fields.map((field) => [field.name, renew(field)])
    drawn.clear()
    for (const [name, one] of next) { drawn.set(name, one) }
    const nodes = next.map(([, one]) => one.node)
    if (nodes.length !== fields.children.length || nodes.some((node, i) => fields.children[i] !== node)) {
      fields.replaceChildren(...nodes)
      drawn.get(focused)?.input.focus()
    }
    seen = Math.max(0, ...state.fields.map((field) => field.renewed))
    let first = null
    for (const [name, {input, wrong, none, said}] of drawn) {
      const texts = state.said[name] ?? []
      if (said.dataset.key !== JSON.stringify(texts)) {
        said.dataset.key = JSON.stringify(texts)
        said.replaceChildren(...texts.map((text) => h("div", null, text)))
      }
      const found = state.errors[name] ?? ""
      const text = found.charAt(0).toUpperCase() + found.slice(1)
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
    set_text(usual, state.usual)
    set_text(why, state.busy ? "" : state.disabled || (state.said[""] ?? []).join(" "))
  }
  return {node, show}
}

export default component(StartForm)
