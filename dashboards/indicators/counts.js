// Four numbers of a run, each under its name.
function Counts() {
  const cells = []
  const node = h("div", {class: "stats"})
  const show = (state) => {
    node.style.gridTemplateColumns = `repeat(${state.columns}, minmax(0, 1fr))`
    state.cells.forEach((cell, i) => {
      if (cells[i] == null) {
        cells[i] = [h("div", {class: "lab"}), h("div", {class: "num"})]
        node.append(h("div", null, cells[i]))
      }
      set_text(cells[i][0], cell.label)
      set_text(cells[i][1], cell.value)
      cells[i][1].className = `num ${cell.tone}`
    })
  }
  return {node, show}
}

export default component(Counts)
