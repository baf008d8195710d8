// The bar of a page is there before this script is, and draws itself: it is told where its reader is.
function Where() {
  return {node: document.createComment("where"), show: (state) => dispatchEvent(new CustomEvent("streamer-where", {detail: state}))}
}

export default component(Where)
