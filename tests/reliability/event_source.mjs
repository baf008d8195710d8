// Follow a stream with an EventSource that nobody here wrote, until it is told to stop; say what came, as JSON.
import { EventSource } from "eventsource";

const kinds = ["status", "phase", "progress", "log", "failure", "complete", "failed", "cancelled", "snapshot", "reset"];
const source = new EventSource(process.argv[2]);
const told = { seqs: 0, wrong: [], kinds: {}, opened: 0 };
source.onopen = () => { told.opened += 1; };
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) {
    console.log(JSON.stringify(told));
    process.exit(0);
  }
};
for (const kind of kinds) {
  source.addEventListener(kind, (event) => {
    const { seq } = JSON.parse(event.data);
    told.kinds[kind] = (told.kinds[kind] ?? 0) + 1;
    told.seqs += 1;
    if (seq !== told.seqs && told.wrong.length < 10) told.wrong.push([told.seqs, seq]);
  });
}
