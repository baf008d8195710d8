// The list of runs: what to know first, and the table.
function RunsView(page) {
  const node = h("div", null, page.part("notice"), page.part("table"))
  return {node}
}

export default component(RunsView)
