// Made by dashboards.indicators.bundle from the scripts beside it.
const PALETTES = {"light": {"bg": "#f7f8fa", "paper": "#ffffff", "ink": "#14181f", "soft": "#5b6573", "line": "#e3e7ee", "accent": "#0b6bcb", "accent-soft": "#dcebfb", "on-accent": "#ffffff", "ok": "#1a7f4b", "warn": "#8f5f00", "bad": "#c0272d", "wait": "#cfd6e0", "chip-accent": "#0a5cae", "chip-ok": "#15693e", "chip-bad": "#a91f26"}, "dark": {"bg": "#0e1116", "paper": "#161b22", "ink": "#e8ecf2", "soft": "#9aa5b4", "line": "#262d38", "accent": "#4a9cf0", "accent-soft": "#12314f", "on-accent": "#0b1520", "ok": "#3fb27f", "warn": "#d9a441", "bad": "#f0686d", "wait": "#323b48", "chip-accent": "#6fb2f5", "chip-ok": "#55c792", "chip-bad": "#f5868a"}}
const CSS = "/* The look of all indicators; colours come from the palette as --st-… and can be set from outside, as by `styles`. */\n:host { display: block; box-sizing: border-box; min-width: 0; }\n:host([hidden]) { display: none; }\n.st { color: var(--st-ink); color-scheme: var(--st-scheme); font: 14px/1.45 \"Streamer Sans\", Roboto, Inter, \"DejaVu Sans\", sans-serif;\n  font-variant-numeric: tabular-nums; text-align: start; }\n/* An indicator of a given height scrolls inside of it. */\n.st.bounded { height: 100%; overflow: auto; }\n.st.bounded > .fills { height: 100%; display: flex; flex-direction: column; min-height: 0; }\n.sized { overflow: hidden; }\n*, *::before, *::after { box-sizing: border-box; }\nh1, h2, p, ul, ol, dl, dd, figure, fieldset { margin: 0; padding: 0; border: 0; }\na { color: var(--st-accent); text-decoration: none; font-weight: 600; }\na:hover { text-decoration: underline; }\nbutton, input, select, textarea { font: inherit; color: inherit; }\n:focus-visible { outline: 2px solid var(--st-accent); outline-offset: 2px; }\n.seen-by-readers { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }\n.card { background: var(--st-paper); border: 1px solid var(--st-line); border-radius: 12px; }\n.soft { color: var(--st-soft); } .bad { color: var(--st-bad); } .warn { color: var(--st-warn); }\n.small { font-size: 13px; }\n.mono { font-family: \"DejaVu Sans Mono\", ui-monospace, monospace; }\n.row { display: flex; align-items: center; gap: 12px; }\n.between { justify-content: space-between; }\nh1 { font-size: 24px; line-height: 1.2; font-weight: 700; overflow-wrap: anywhere; unicode-bidi: plaintext; }\nh2 { font-size: 15px; font-weight: 600; }\n.btn { min-height: 34px; padding: 0 14px; border: 1px solid var(--st-line); border-radius: 8px; background: var(--st-paper);\n  color: var(--st-ink); font-weight: 600; font-size: 13px; display: inline-flex; align-items: center; justify-content: center;\n  gap: 7px; cursor: pointer; white-space: nowrap; }\n.btn:hover:not(:disabled) { border-color: var(--st-soft); text-decoration: none; }\n.btn:disabled { color: var(--st-soft); cursor: not-allowed; }\n.btn.danger:not(:disabled) { color: var(--st-bad); }\n.btn.primary { background: var(--st-accent); border-color: var(--st-accent); color: var(--st-on-accent); }\n.btn.primary:disabled { background: var(--st-wait); border-color: var(--st-wait); color: var(--st-soft); }\n.btn.solid-danger { background: var(--st-bad); border-color: var(--st-bad); color: var(--st-paper); }\n.in { min-height: 32px; border: 1px solid var(--st-line); border-radius: 8px; padding: 0 11px; background: var(--st-bg);\n  font-size: 13px; min-width: 0; }\n.in::placeholder { color: var(--st-soft); opacity: 1; }\nselect.in { appearance: none; padding-right: 28px; cursor: pointer; max-width: 220px; text-overflow: ellipsis;\n  background-image: url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='9' height='6'%3E%3Cpath d='M0 0h9L4.5 6z' fill='%237d8795'/%3E%3C/svg%3E\");\n  background-position: right 11px center; background-repeat: no-repeat; }\nselect.in option { background: var(--st-paper); color: var(--st-ink); }\n.chip { display: inline-flex; align-items: center; gap: 7px; height: 26px; padding: 0 11px; border-radius: 13px; font-weight: 600;\n  font-size: 13px; white-space: nowrap; flex: none; --tone: var(--st-soft);\n  background: color-mix(in srgb, var(--tone) 13%, transparent); color: var(--tone); }\n.chip::before { content: \"\"; width: 8px; height: 8px; border-radius: 50%; background: currentColor; }\n.chip.accent { --tone: var(--st-accent); background: var(--st-accent-soft); color: var(--st-chip-accent); }\n.chip.ok { --tone: var(--st-ok); color: var(--st-chip-ok); } .chip.bad { --tone: var(--st-bad); color: var(--st-chip-bad); }\n.chip.warn { --tone: var(--st-warn); }\n.chip.live::before { animation: breathe 2s ease-in-out infinite; }\n@keyframes breathe { 50% { opacity: .35; } }\n.spin { width: 14px; height: 14px; border-radius: 50%; border: 2px solid currentColor; border-right-color: transparent;\n  animation: spin .9s linear infinite; flex: none; }\n@keyframes spin { to { transform: rotate(1turn); } }\npre { margin: 0; font: 12.5px/1.6 \"DejaVu Sans Mono\", ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;\n  background: var(--st-bg); border: 1px solid var(--st-line); border-radius: 8px; padding: 12px 14px; max-height: 420px; overflow: auto;\n  tab-size: 4; }\nsummary { cursor: pointer; }\n.empty { padding: 34px 20px; text-align: center; color: var(--st-soft); }\n[hidden] { display: none !important; }\n\n/* pages */\n.page { max-width: 1180px; margin: 0 auto; padding: 26px 28px 40px; }\n.hero { margin-top: 22px; padding: 24px 26px 22px; }\n.beside { display: grid; grid-template-columns: minmax(0, 1.55fr) minmax(0, 1fr); gap: 16px; margin-top: 16px; }\n@media (max-width: 640px) { .page { padding: 18px 14px 28px; } .hero { padding: 18px 16px; margin-top: 18px; }\n  .beside { grid-template-columns: minmax(0, 1fr); } }\n@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; } }\n\n/* head */\n.head { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 14px 24px; }\n.head > div:first-child { flex: 1 1 420px; min-width: 0; }\n.head .title { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; }\n.head .title h1 { display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden; }\n.sub { color: var(--st-soft); margin-top: 6px; overflow-wrap: anywhere; }\n.sub .quiet { color: var(--st-warn); font-weight: 600; }\ndialog { border: 1px solid var(--st-line); border-radius: 12px; padding: 22px 24px; max-width: min(420px, calc(100vw - 32px));\n  background: var(--st-paper); color: var(--st-ink); font: inherit; }\ndialog::backdrop { background: rgb(8 12 18 / .5); }\ndialog p { margin: 8px 0 20px; color: var(--st-soft); }\ndialog .row { justify-content: flex-end; flex-wrap: wrap; }\n\n/* a run's head and its buttons; on a phone the buttons are one row below */\n.status .title { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; }\n.status .title h1 { display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden; }\n.status .facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 14px; margin-top: 10px; }\n.status .facts > div { display: contents; }\n.status dt { color: var(--st-soft); } .status dd { overflow-wrap: anywhere; unicode-bidi: plaintext; }\n.status dd .mono, .status dd.mono { font-size: 13px; }\n.controls { flex-wrap: wrap; gap: 8px 10px; padding: 3px; margin: -3px; }\n.top { display: flex; flex-wrap: wrap; align-items: flex-start; justify-content: space-between; gap: 12px 24px; }\n.top > :first-child { flex: 1 1 420px; min-width: 0; }\n.top > :last-child { flex: 0 1 auto; width: auto !important; }\n@media (max-width: 640px) { .top > :first-child { flex: 1 1 100%; } }\n\n/* notice and error */\n.banner { display: flex; gap: 12px; align-items: flex-start; padding: 13px 18px; margin-bottom: 18px; border-radius: 12px;\n  border: 1px solid color-mix(in srgb, var(--tone) 35%, transparent); background: color-mix(in srgb, var(--tone) 9%, var(--st-paper)); }\n.banner b { font-weight: 600; } .banner p { overflow-wrap: anywhere; }\n.banner .mark { color: var(--tone); font-weight: 700; line-height: 1.45; }\n.banner .spin { color: var(--tone); margin-top: 3px; }\n.page-note { text-align: center; padding: 72px 24px 80px; }\n.page-note h1 { margin-bottom: 10px; }\n.page-note p { color: var(--st-soft); max-width: 460px; margin: 0 auto; overflow-wrap: anywhere; }\n.page-note .code { display: inline-block; margin-top: 16px; max-width: 100%; padding: 4px 10px; border-radius: 6px; background: var(--st-bg);\n  border: 1px solid var(--st-line); overflow-wrap: anywhere; }\n.page-note .spin { width: 22px; height: 22px; margin: 0 auto 16px; color: var(--st-accent); }\n.page-note .btn { margin-top: 22px; }\n.broken { margin-top: 22px; padding: 16px 20px; border-color: color-mix(in srgb, var(--st-bad) 40%, var(--st-line)); }\n.broken .what { overflow-wrap: anywhere; white-space: pre-wrap; max-height: 12em; overflow: auto; }\n.broken .what b { color: var(--st-bad); font-weight: 600; }\n.broken details { margin-top: 10px; } .broken summary { color: var(--st-soft); font-size: 13px; font-weight: 600; width: fit-content; }\n.broken pre { margin-top: 10px; }\n\n/* progress */\n.progress { display: flex; flex-wrap: wrap; align-items: flex-end; justify-content: space-between; gap: 10px 24px; }\n.pct { font-size: 64px; line-height: 1; font-weight: 500; letter-spacing: -1.5px; white-space: nowrap; }\n.pct small { font-size: 30px; color: var(--st-soft); font-weight: 400; margin-left: 4px; letter-spacing: 0; }\n.pct.soft { color: var(--st-soft); }\n.progress .left { flex: 1 1 auto; margin-bottom: 1px; min-width: 0; } .left b { font-size: 17px; font-weight: 600; } .left:has(b:empty) { flex: 0 0 0; display: none; }\n.now { color: var(--st-soft); font-size: 15px; min-width: 0; overflow-wrap: anywhere; padding-bottom: 2px; }\n.now .more { margin: 0 0 0 6px; padding: 0; font-size: 15px; } .now .more:hover { text-decoration: underline; }\n.now b { color: var(--st-ink); font-weight: 600; unicode-bidi: isolate; }\n@media (max-width: 640px) { .pct { font-size: 52px; } .pct small { font-size: 26px; } .now { flex: 1 1 100%; } }\n\n/* phases */\n.apart { margin-top: 20px; }\n.bar { display: flex; height: 14px; border-radius: 7px; overflow: hidden; }\n.segment { position: relative; flex: 1 1 0; min-width: 2px; background: var(--st-wait); border-radius: 3px; overflow: hidden; }\n.segment i { position: absolute; inset: 0 auto 0 0; background: var(--st-accent); }\n.segment.done i { background: var(--st-ok); } .segment.failed i, .segment.spoilt i { background: var(--st-bad); } .segment.partial i { background: var(--st-warn); } .segment.stopped i { background: var(--st-soft); }\n/* A pattern beside the colour tells them apart. */\n.segment.failed, .segment.spoilt, .segment.stopped, .segment.skipped { background-image: repeating-linear-gradient(135deg, transparent 0 4px, color-mix(in srgb, var(--st-soft) 35%, transparent) 4px 5px); }\n.segment.moving::after { content: \"\"; position: absolute; inset: 0; width: 45%; border-radius: inherit;\n  background: linear-gradient(90deg, transparent, color-mix(in srgb, var(--st-accent) 75%, transparent), transparent);\n  animation: pass 1.8s ease-in-out infinite; }\n@keyframes pass { from { transform: translateX(-100%); } to { transform: translateX(222%); } }\n@media (prefers-reduced-motion: reduce) { .segment.moving::after { width: 100%; background: color-mix(in srgb, var(--st-accent) 22%, transparent); } }\n.labels { position: relative; height: 40px; margin-top: 8px; }\n.labels > div { position: absolute; top: 0; white-space: nowrap; padding-right: 10px; }\n.labels .name, .list .name { font-weight: 600; }\n.labels .detail { color: var(--st-soft); font-size: 13px; }\n.mark { font-weight: 700; margin-right: 5px; font-size: 12px; }\n.mark.done { color: var(--st-ok); } .mark.failed, .mark.spoilt { color: var(--st-bad); } .mark.partial { color: var(--st-warn); } .mark.stopped, .mark.skipped { color: var(--st-soft); }\n.mark.active { color: var(--st-accent); } .mark.waiting { color: var(--st-soft); }\n.list { columns: 280px; column-gap: 28px; margin-top: 12px; list-style: none; }\n.list li { break-inside: avoid; display: flex; justify-content: space-between; align-items: baseline; gap: 12px; padding: 3px 0; min-width: 0; }\n.list .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0; unicode-bidi: plaintext; }\n.list .mark { display: inline-block; width: 14px; text-align: center; }\n.list .detail { color: var(--st-soft); font-size: 13px; white-space: nowrap; flex: none; }\n.list .waiting .name { color: var(--st-soft); font-weight: 400; }\n.more { margin-top: 8px; border: 0; background: none; padding: 4px 0; color: var(--st-accent); font-weight: 600; font-size: 13px; cursor: pointer; }\n\n/* bars inside the run */\n.tree { list-style: none; margin: 14px 0 0; padding: 10px 0 0; border-top: 1px solid var(--st-line); max-height: 264px; overflow-y: auto;\n  overscroll-behavior: contain; }\n.tree li { display: grid; grid-template-columns: minmax(0, 1fr) auto minmax(90px, 200px); align-items: center; gap: 4px 12px; padding: 3px 0;\n  padding-left: calc(18px * var(--depth)); font-size: 13px; }\n.tree li.phase-name { display: block; font-weight: 600; padding-top: 6px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }\n.tree .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: plaintext; }\n.tree .detail { color: var(--st-soft); white-space: nowrap; text-align: right; }\n.tree .mini { width: 100%; max-width: none; margin: 0; height: 6px; }\n.tree li.over .name { color: var(--st-soft); }\n@media (max-width: 640px) { .tree li { grid-template-columns: minmax(0, 1fr) auto; padding-left: calc(12px * var(--depth)); }\n  .tree .mini { grid-column: 1 / -1; } }\n\n/* throughput and stats */\n.pad { padding: 16px 20px; }\n.lab { color: var(--st-soft); font-size: 13px; overflow-wrap: anywhere; }\n.plot { height: 124px; margin-top: 6px; position: relative; }\n.plot .most { position: absolute; top: 0; left: 0; }\n.plot.hidden { display: none; }\n.plot-empty { height: 124px; margin-top: 6px; display: grid; place-items: center; color: var(--st-soft); font-size: 13px;\n  border: 1px dashed var(--st-line); border-radius: 8px; text-align: center; padding: 0 16px; }\n.stats { display: grid; grid-template-columns: 1fr 1fr; gap: 14px 20px; align-content: space-around; min-height: 100%; }\n.num { font-size: 24px; font-weight: 500; overflow-wrap: anywhere; line-height: 1.35; }\n\n/* tabs */\n.tabs { display: flex; gap: 22px; padding: 0 20px; border-bottom: 1px solid var(--st-line); overflow-x: auto; scrollbar-width: none; }\n.tabs button { border: 0; background: none; padding: 13px 0 12px; color: var(--st-soft); font-weight: 600; cursor: pointer;\n  white-space: nowrap; }\n.tabs button:focus-visible { outline-offset: -2px; border-radius: 4px; }\n.tabs button[aria-selected=true] { color: var(--st-ink); box-shadow: inset 0 -2px var(--st-accent); }\n.tabs em { font-style: normal; color: var(--st-soft); font-weight: 400; margin-left: 1px; }\n.tabs em:empty { display: none; }\n.details { margin-top: 16px; overflow: hidden; }\n.panel[hidden] { display: none; }\n\n/* log */\n.tools { display: flex; gap: 10px; padding: 12px 20px; align-items: center; }\n.tools .in[type=search] { flex: 1; }\n.follow { gap: 6px; color: var(--st-soft); background: var(--st-bg); min-height: 32px; padding: 0 11px; }\n.follow::before { content: \"\"; width: 10px; height: 10px; border-radius: 50%; border: 2px solid currentColor; }\n.follow[aria-pressed=true] { color: var(--st-chip-accent); } .follow[aria-pressed=true]::before { background: currentColor; }\n.lines-outer { position: relative; }\n.bounded .lines-outer { flex: 1; min-height: 0; } .bounded .lines { height: 100%; min-height: 0; max-height: none; }\n.lines .empty { font: 14px/1.45 \"Streamer Sans\", Roboto, Inter, \"DejaVu Sans\", sans-serif; }\n.lines { font: 12.5px/1.75 \"DejaVu Sans Mono\", ui-monospace, monospace; padding: 0 0 10px; min-height: 132px; max-height: min(56vh, 460px);\n  overflow-y: auto; overflow-x: hidden; overscroll-behavior: contain; }\n.line { display: grid; grid-template-columns: 112px 80px minmax(60px, 96px) minmax(0, 1fr); padding: 0 20px; }\n.line > span { color: var(--st-soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; padding-right: 10px; }\n.line > .message { color: var(--st-ink); white-space: pre-wrap; overflow-wrap: anywhere; padding-right: 0; unicode-bidi: plaintext;\n  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 12; }\n.line:focus-visible { outline-offset: -2px; }\n.line.open > .message { -webkit-line-clamp: none; display: block; }\n.line > .extra { grid-column: 4; color: var(--st-soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }\n.line.open > .extra { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; }\n.line.warning > .level, .line.warning > .message { color: var(--st-warn); }\n.line.error-line { background: color-mix(in srgb, var(--st-bad) 7%, transparent); }\n.line.error-line > .level, .line.error-line > .message { color: var(--st-bad); }\n.line.debug > .message { color: var(--st-soft); }\n.edge { text-align: center; padding: 4px 20px 8px; color: var(--st-soft); font-size: 13px; font-family: \"Streamer Sans\", Roboto, Inter, \"DejaVu Sans\", sans-serif; }\n.pill { min-width: 148px; position: absolute; bottom: 12px; left: 50%; transform: translateX(-50%); box-shadow: 0 2px 10px rgb(8 12 18 / .18); border-radius: 17px; }\n.pill[hidden] { display: none; }\n@media (max-width: 640px) {\n  .tools { padding: 12px 14px; } .tools .in[type=search] { flex: 1 1 90px; } .tools select.in { flex: 0 1 110px; }\n  .follow { font-size: 0; gap: 0; }\n  .tabs { padding: 0 14px; gap: 18px; }\n  .line { grid-template-columns: 1fr; padding: 3px 14px; line-height: 1.5; }\n  .line > span:not(.message) { display: inline-block; vertical-align: bottom; max-width: 40%; padding-right: 12px; font-size: 11.5px; }\n  .line { display: block; } .line > .message { display: -webkit-box; }\n  .line.log-info > .level { display: none; }\n}\n\n/* failed items */\n.items { list-style: none; }\n.items li { border-bottom: 1px solid var(--st-line); } .items li:last-child { border-bottom: 0; }\n.items summary, .items .plain { display: grid; grid-template-columns: minmax(120px, 1fr) minmax(60px, 110px) minmax(0, 2.2fr) 16px; gap: 4px 16px;\n  padding: 11px 20px; list-style: none; align-items: baseline; }\n.items summary::-webkit-details-marker { display: none; }\n.items summary::after { content: \"›\"; color: var(--st-soft); transition: transform .15s; justify-self: end; }\n.items details[open] summary::after { transform: rotate(90deg); }\n.items summary:hover { background: var(--st-bg); }\n.items .item { font-weight: 600; overflow-wrap: anywhere; unicode-bidi: plaintext; }\n.items .why { overflow-wrap: anywhere; } .items .why b { font-weight: 600; color: var(--st-bad); }\n.items .why { display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden; }\n.items details[open] .why { -webkit-line-clamp: none; }\n.items pre { margin: 2px 20px 16px; }\n.pager { display: flex; justify-content: space-between; align-items: center; gap: 12px; padding: 12px 20px; border-top: 1px solid var(--st-line); }\n@media (max-width: 640px) {\n  .items summary, .items .plain { grid-template-columns: 1fr auto; padding: 11px 14px; }\n  .items .item { grid-column: 1; } .items .in-phase { grid-column: 1 / -1; grid-row: 3; font-size: 13px; } .items .why { grid-column: 1 / -1; grid-row: 2; }\n  .items summary::after { grid-column: 2; grid-row: 1; } .items pre { margin: 2px 14px 14px; }\n}\n\n/* values and tables */\n.scroll { overflow-x: auto; }\ntable { width: 100%; border-collapse: collapse; }\nth { font-weight: 600; color: var(--st-soft); text-align: left; font-size: 13px; padding: 11px 14px; border-bottom: 1px solid var(--st-line); white-space: nowrap; }\ntd { padding: 10px 14px; border-bottom: 1px solid var(--st-line); vertical-align: top; overflow-wrap: anywhere; unicode-bidi: plaintext; }\ntr:last-child > td { border-bottom: 0; }\nth:first-child, td:first-child { padding-left: 20px; } th:last-child, td:last-child { padding-right: 20px; }\n.values td.num-cell, .values th.num-cell { text-align: right; overflow-wrap: normal; white-space: nowrap; }\n.values td.tight { white-space: nowrap; }\n.values .pairs th { width: 1%; min-width: 140px; max-width: 300px; white-space: normal; overflow-wrap: anywhere; vertical-align: top; border-bottom: 1px solid var(--st-line); padding-right: 28px; }\n.values .pairs tr:last-child > * { border-bottom: 0; }\n.values pre.nested { max-height: 220px; }\n.values .text { padding: 16px 20px; }\n.values .note { padding: 12px 20px; color: var(--st-soft); font-size: 13px; }\n.values caption.title { text-align: left; font-weight: 600; font-size: 15px; padding: 20px 20px 4px; }\n.values td { white-space: pre-line; }\n.values .facts { display: flex; flex-wrap: wrap; gap: 6px 28px; padding: 14px 20px; border-bottom: 1px solid var(--st-line); }\n.values .facts b { font-weight: 600; overflow-wrap: anywhere; }\n.values .error-text { padding: 0 20px 20px; }\n@media (max-width: 640px) { .values .pairs th { min-width: 96px; max-width: 140px; padding-left: 14px; padding-right: 10px; } th:first-child, td:first-child { padding-left: 14px; }\n  .values .facts, .values .note, .values .text { padding-left: 14px; padding-right: 14px; } .values caption.title { padding-left: 14px; } }\n\n/* runs */\n.filters { display: flex; gap: 10px; margin-top: 18px; flex-wrap: wrap; } .filters .in { background-color: var(--st-paper); }\n.filters .in[type=search] { flex: 1 1 200px; } .filters select.in { max-width: 190px; } .filters .order { display: none; }\n.runs { margin-top: 14px; overflow: hidden; }\n.runs tbody tr { cursor: pointer; } .runs tbody tr:hover { background: color-mix(in srgb, var(--st-bg) 70%, transparent); }\n.runs td { padding: 12px 14px; vertical-align: middle; } .runs td:first-child { padding-left: 20px; }\n.runs .phone { display: none; }\n.runs .name a { overflow-wrap: anywhere; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }\n.runs .name .lab { display: -webkit-box; -webkit-line-clamp: 1; -webkit-box-orient: vertical; overflow: hidden; }\n.runs td.name { max-width: 320px; min-width: 150px; }\n.runs td.tight { white-space: nowrap; }\n.runs .left { margin-left: 8px; white-space: nowrap; }\n.runs td.phase { max-width: 150px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }\n.mini { display: inline-block; position: relative; width: 150px; max-width: 22vw; height: 8px; border-radius: 4px; background: var(--st-wait); overflow: hidden; vertical-align: middle; margin-right: 10px; }\n.mini i { position: absolute; inset: 0 auto 0 0; background: var(--st-accent); }\n.mini.ok i { background: var(--st-ok); } .mini.bad i { background: var(--st-bad); } .mini.warn i { background: var(--st-warn); } .mini.wait i { background: var(--st-soft); }\n.mini.moving::after { content: \"\"; position: absolute; inset: 0; width: 40%; background: var(--st-accent); opacity: .7; border-radius: 4px; animation: pass 1.8s ease-in-out infinite; }\n.runs .foot { padding: 12px 20px; display: flex; align-items: center; justify-content: center; gap: 14px; border-top: 1px solid var(--st-line); }\n.runs .sort { border: 0; background: none; padding: 0; margin: 0; font: inherit; color: inherit; cursor: pointer; white-space: nowrap; } .runs .sort:hover { color: var(--st-ink); }\n.runs .sort span::after { content: \"\"; display: inline-block; width: 1em; } .runs [aria-sort=descending] .sort span::after { content: \" ↓\"; } .runs [aria-sort=ascending] .sort span::after { content: \" ↑\"; }\n.start-empty { padding: 56px 24px 60px; display: grid; justify-items: center; gap: 10px; text-align: center; }\n.start-empty p { color: var(--st-soft); max-width: 480px; }\n.start-empty pre { text-align: left; margin: 14px 0 6px; width: min(520px, 100%); }\n@media (max-width: 860px) { .runs .lean { display: none; } .filters .order { display: block; } .mini { width: 90px; } }\n@media (max-width: 640px) {\n  .runs table, .runs tbody { display: block; } .runs thead { display: none; }\n  .runs tbody tr { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 6px 12px; padding: 13px 14px; border-bottom: 1px solid var(--st-line); }\n  .runs tbody tr:last-child { border-bottom: 0; }\n  .runs td, .runs td:first-child, .runs td:last-child { padding: 0; border: 0; max-width: none; }\n  .runs td.name { min-width: 0; } .runs td.state { grid-column: 2; grid-row: 1; }\n  .runs td.amount { grid-column: 1 / -1; display: flex; align-items: center; } .mini { flex: 1; width: auto; max-width: none; }\n  .runs .phone { display: block; grid-column: 1 / -1; } .filters select.in { flex: 1 1 40%; max-width: none; } .filters .order, .filters .in[type=search] { flex: 1 1 100%; }\n}\n\n/* start */\n.start-grid { display: grid; grid-template-columns: 300px minmax(0, 1fr); gap: 16px; margin-top: 20px; align-items: start; }\n.offers { list-style: none; padding: 8px; }\n.offers button { display: block; width: 100%; text-align: left; border: 0; background: none; border-radius: 8px; padding: 10px 12px; cursor: pointer; }\n.offers button:hover { background: var(--st-bg); }\n.offers button[aria-current=true] { background: var(--st-accent-soft); }\n.offers b { font-weight: 600; overflow-wrap: anywhere; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; } .offers button[aria-current=true] b { color: var(--st-chip-accent); }\n.offers span { color: var(--st-soft); font-size: 13px; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; overflow-wrap: anywhere; }\n.offers button[aria-current=true] span { color: var(--st-ink); }\n.form { padding: 22px 26px 24px; }\n.form h2 { font-size: 18px; overflow-wrap: anywhere; }\n.form .doc { color: var(--st-soft); margin-top: 6px; white-space: pre-line; overflow-wrap: anywhere; max-width: 68ch; }\n.form .phases { display: flex; flex-wrap: wrap; gap: 6px 8px; margin-top: 14px; list-style: none; }\n.form .phases li { font-size: 13px; color: var(--st-soft); border: 1px solid var(--st-line); border-radius: 12px; padding: 2px 10px; overflow-wrap: anywhere; }\n.form .phases b { color: var(--st-ink); font-weight: 600; margin-right: 4px; }\n.fields { display: grid; gap: 18px; margin-top: 22px; padding-top: 20px; border-top: 1px solid var(--st-line); }\n.fields:empty { display: none; }\n.field { max-width: 560px; min-width: 0; }\n.field label, .field .as-label { font-weight: 600; display: block; margin-bottom: 5px; overflow-wrap: anywhere; }\n.field label small { font-weight: 400; color: var(--st-soft); font-size: 13px; margin-left: 6px; }\n.field .in { width: 100%; min-height: 36px; font-size: 14px; max-width: none; } .field .in.short { max-width: 200px; }\n.field textarea.in { padding: 8px 11px; min-height: 76px; resize: vertical; }\n.field .help { color: var(--st-soft); font-size: 13px; margin-top: 5px; overflow-wrap: anywhere; }\n.field label.none { font-weight: 400; font-size: 13px; margin: 5px 0 0; }\n.field .wrong { color: var(--st-bad); font-size: 13px; margin-top: 5px; font-weight: 600; overflow-wrap: anywhere; }\n.field .wrong::before { content: \"✕ \"; }\n.field .said { color: var(--st-soft); font-size: 13px; margin-top: 5px; overflow-wrap: anywhere; }\n.field .said:empty { display: none; }\n.field .in[aria-invalid=true] { border-color: var(--st-bad); }\n.field.tick { display: grid; grid-template-columns: auto 1fr; gap: 0 10px; align-items: start; }\n.field.tick input { width: 17px; height: 17px; margin: 2px 0 0; accent-color: var(--st-accent); } .field.tick label { margin: 0; }\n.field.tick .help, .field.tick .said, .field.tick .wrong { grid-column: 2; margin-top: 2px; }\n.submit { display: flex; align-items: center; gap: 14px; margin-top: 24px; flex-wrap: wrap; }\n.submit .btn { min-height: 38px; padding: 0 22px; font-size: 14px; }\n.form .refused { margin-top: 18px; margin-bottom: 0; }\n@media (max-width: 760px) { .start-grid { grid-template-columns: minmax(0, 1fr); } .form { padding: 18px 16px 20px; }\n  .offers { display: flex; align-items: flex-start; gap: 4px; overflow-x: auto; } .offers li { flex: 0 0 min(200px, 60vw); } }\n"
// What the indicators share: the look, the theme, small tools, and `component`, which makes a drawing a component of Panel's and a
// widget of anywidget's alike. Everything that is shown is set as text: nothing in here makes markup of data.
//
// A drawing is a function of a page: {send, on_remove, part}. It returns its `node`, `show(state)`, and maybe `receive(news)`.

const sheet = new CSSStyleSheet()
sheet.replaceSync(CSS)

// One per window, whichever view comes first: keeps the document's colours in step with its theme.
function theme() {
  if (window.__streamer_theme != null) { return window.__streamer_theme }
  const root = document.documentElement
  const style = document.createElement("style")
  const rules = (palette, more) => Object.entries({...palette, ...more}).map(([name, value]) => `--st-${name}:${value};`).join("")
  const light = rules(PALETTES.light, {"scheme": "light"})
  const dark = rules(PALETTES.dark, {"scheme": "dark"})
  // A page of the dashboards brings Roboto in 400 and 700 only; the medium between them is taken where it is installed.
  const face = (weight, name) => `@font-face{font-family:"Streamer Sans";font-weight:${weight};src:local("${name}");}`
  const faces = [face(400, "Roboto"), face(500, "Roboto Medium"), face(600, "Roboto Medium"), face(700, "Roboto Bold")].join("")
  style.textContent = `${faces}:root{${light}}:root[data-st-theme=dark]{${dark}}`
  document.head.append(style)
  const own = {dark: null, listeners: new Set()}
  window.__streamer_theme = own
  const look = () => {
    const dark = is_dark()
    if (dark === own.dark) { return }
    own.dark = dark
    root.dataset.stTheme = dark ? "dark" : "light"
    for (const listener of own.listeners) { listener(PALETTES[dark ? "dark" : "light"]) }
  }
  let asked = false
  const soon = () => {
    if (asked) { return }
    asked = true
    requestAnimationFrame(() => { asked = false; look() })
  }
  const observer = new MutationObserver(soon)
  observer.observe(root, {attributes: true, attributeFilter: ["data-theme", "class", "style"]})
  observer.observe(document.body, {attributes: true})
  observer.observe(document.head, {childList: true, characterData: true, subtree: true})
  look()
  return own
}

// A notebook says what it is on its body; a Panel page says which surface colour it has.
function is_dark() {
  const body = document.body.dataset
  if (body.vscodeThemeKind != null) { return /dark|high-contrast$/.test(body.vscodeThemeKind) }
  if (body.jpThemeLight != null) { return body.jpThemeLight === "false" }
  const named = document.documentElement.dataset.theme
  if (named === "dark" || named === "light") { return named === "dark" }
  const surface = getComputedStyle(document.documentElement).getPropertyValue("--panel-surface-color").trim()
  if (surface === "") { return new URLSearchParams(location.search).get("theme") === "dark" }
  const context = document.createElement("canvas").getContext("2d")
  context.fillStyle = surface
  context.fillRect(0, 0, 1, 1)
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data
  return 0.299 * red + 0.587 * green + 0.114 * blue < 110
}

function on_theme(page, listener) {
  const own = theme()
  own.listeners.add(listener)
  page.on_remove(() => own.listeners.delete(listener))
  listener(PALETTES[own.dark ? "dark" : "light"])
}

// Makes an element: attributes, "on…" listeners, and children that are elements or text. Never markup.
function h(name, attributes, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) { continue }
    if (key.startsWith("on")) {
      element.addEventListener(key.slice(2), value)
    } else if (key === "class") {
      element.className = value
    } else {
      element.setAttribute(key, value === true ? "" : String(value))
    }
  }
  for (const child of children.flat()) {
    if (child != null && child !== false) { element.append(child) }
  }
  return element
}

function set_text(element, text) {
  if (element.textContent !== text) { element.textContent = text }
}

function set_attribute(element, name, value) {
  if (value == null || value === false) {
    element.removeAttribute(name)
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value === true ? "" : String(value))
  }
}

const two = (number) => String(number).padStart(2, "0")

// A time of day in the reader's zone, with the date when it is another day.
function time_text(seconds) {
  const date = new Date(seconds * 1000)
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`
  const now = new Date()
  if (date.toDateString() === now.toDateString()) { return clock }
  const options = {day: "numeric", month: "short"}
  if (date.getFullYear() !== now.getFullYear()) { options.year = "numeric" }
  return `${date.toLocaleDateString("en-GB", options)} ${clock}`
}

function time_to_ms(seconds) {
  const date = new Date(seconds * 1000)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`
}

function when(seconds) {
  const iso = new Date(seconds * 1000).toISOString()
  return h("time", {datetime: iso, title: iso}, time_text(seconds))
}

function debounced(action, milliseconds) {
  let timer = null
  return (...values) => {
    clearTimeout(timer)
    timer = setTimeout(() => action(...values), milliseconds)
  }
}

function write_parts(target, parts) {
  const key = JSON.stringify(parts)
  if (target.dataset.key === key) { return }
  target.dataset.key = key
  target.replaceChildren(...parts.map((part) => (typeof part === "number" ? when(part) : document.createTextNode(part))))
}

// Draws those items of a list anew that changed, in their place; what is pressed, chosen or unfolded in the others stays. `keys` are
// what is drawn, and what will be is returned.
function redraw(list, keys, items, draw) {
  const next = items.map((item) => JSON.stringify(item))
  next.forEach((key, i) => {
    if (keys[i] === key) { return }
    const drawn = draw(items[i])
    if (list.children[i] == null) { list.append(drawn) } else { list.children[i].replaceWith(drawn) }
  })
  while (list.children.length > next.length) { list.lastElementChild.remove() }
  return next
}

// Sends what a reader enters in a field, when they pause for so long, and returns what puts the server's value in it: not before the
// server has said what was entered last. States that were on their way then do not undo it.
function entered(field, send, milliseconds = 0) {
  let unanswered = null
  const ask = milliseconds === 0 ? send : debounced(send, milliseconds)
  field.addEventListener("input", () => { unanswered = field.value; ask() })
  return (value) => {
    if (unanswered === value) { unanswered = null }
    if (unanswered === null && field.value !== value) { field.value = value }
  }
}

// The sheet is given to the root that the element is in; an element outside of any shadow root, as in a notebook, gets one of its own.
function dress(el) {
  theme()
  let root = el.getRootNode()
  if (!(root instanceof ShadowRoot)) {
    root = el.shadowRoot ?? el.attachShadow({mode: "open"})
  }
  if (!root.adoptedStyleSheets.includes(sheet)) { root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet] }
  return root === el.getRootNode() ? el : root
}

// A message to Python is a parameter that changes: it is not lost before the component is drawn, and widgets have it as well.
let asked = 0

function component(draw) {
  return {
    render({model, el, view}) {
      const ends = []
      const page = {
        model,
        send: (message) => {
          asked += 1
          model.set("asked", JSON.stringify({...message, number: asked}))
          model.save_changes()
        },
        on_remove: (end) => ends.push(end),
        // Panel's adapter for widgets returns a child's element, but does not have the child drawn; the view's own proxy does.
        part: (name) => (view?.model_proxy ?? model).get_child?.(name) ?? null,
      }
      const {node, show, receive} = draw(page)
      const frame = h("div", {class: "st", role: "group"}, node)
      dress(el).append(frame)
      const watch = (name, action) => {
        model.on(`change:${name}`, action)
        ends.push(() => model.off(`change:${name}`, action))
        action()
      }
      const bound = () => {
        const bounded = model.get("height") != null || String(model.get("sizing_mode") ?? "").match(/stretch_(height|both)/) != null
        frame.classList.toggle("bounded", bounded)
      }
      watch("height", bound)
      watch("page", () => frame.classList.toggle("page", Boolean(model.get("page"))))
      watch("label", () => set_attribute(frame, "aria-label", model.get("label") || null))
      let version = null
      if (receive != null) {
        // News follow one another. A drawing that missed some, as one that was made later, asks for all there is.
        let waiting = false
        watch("news", () => {
          const news = JSON.parse(model.get("news") || "null")
          if (news == null || news.version === version) { return }
          if (!news.whole && news.after !== version) {
            if (!waiting) { waiting = true; page.send({type: "whole"}) }
            return
          }
          waiting = false
          version = news.version
          receive(news)
        })
      }
      if (show != null) {
        watch("content", () => {
          const content = model.get("content")
          if (content) { show(JSON.parse(content)) }
        })
      }
      return () => { for (const end of ends.splice(0)) { end() } }
    },
  }
}

const Bars = (() => {
// The bars inside a run, as a tree.
function Bars(page) {
  const list = h("ul", {class: "tree", tabindex: 0, "aria-label": "Bars inside this run"})
  const more = h("li", {class: "soft", style: "--depth:0"})
  const node = h("div", null, list)
  const rows = new Map()
  const draw = (row) => {
    if (row.depth === 0) { return {item: h("li", {class: "phase-name", dir: "auto", style: "--depth:0"}, row.name)} }
    const name = h("span", {class: "name", dir: "auto"})
    const detail = h("span", {class: "detail"})
    const fill = h("i")
    const mini = h("span", {class: "mini", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100}, fill)
    return {item: h("li", {style: `--depth:${row.depth - 1}`, "aria-level": row.depth}, name, detail, mini), name, detail, fill, mini}
  }
  const update = (row, {item, name, detail, fill, mini}) => {
    if (row.depth === 0) { return }
    set_text(name, row.name)
    set_attribute(name, "title", row.name.length > 30 ? row.name : null)
    set_text(detail, row.text)
    const tone = {started: "", finished: "ok", stopped: "wait"}[row.kind]
    item.className = row.kind === "started" ? "" : "over"
    mini.className = `mini ${tone} ${row.value == null && row.kind === "started" ? "moving" : ""}`
    fill.style.width = `${row.value ?? 0}%`
    set_attribute(mini, "aria-label", row.name)
    set_attribute(mini, "aria-valuenow", row.value)
    set_attribute(mini, "aria-valuetext", row.spoken)
  }
  const show = (state) => {
    list.style.display = state.rows.length ? "" : "none"
    const ids = state.rows.map((row) => `${row.depth} ${row.id}`)
    for (const [id, {item}] of rows) {
      if (!ids.includes(id)) { item.remove(); rows.delete(id) }
    }
    let at = list.firstElementChild
    state.rows.forEach((row, i) => {
      if (!rows.has(ids[i])) { rows.set(ids[i], draw(row)) }
      const drawn = rows.get(ids[i])
      update(row, drawn)
      if (drawn.item === at) { at = at.nextElementSibling } else { list.insertBefore(drawn.item, at) }
    })
    set_text(more, state.more)
    if (state.more !== "") { list.append(more) } else { more.remove() }
  }
  return {node, show}
}

return component(Bars)
})()

const Counts = (() => {
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

return component(Counts)
})()

const FailureTable = (() => {
// The failed items of a run; a traceback unfolds.
function FailureTable(page) {
  const list = h("ul", {class: "items"})
  const nothing = h("div", {class: "empty"})
  const range = h("span", {class: "soft small"})
  const older = h("button", {class: "btn", type: "button", onclick: () => page.send({type: "page", towards: "older"})}, "Previous")
  const newer = h("button", {class: "btn", type: "button", onclick: () => page.send({type: "page", towards: "newer"})}, "Next")
  const pager = h("div", {class: "pager"}, older, range, newer)
  const node = h("div", null, list, nothing, pager)
  let drawn = []
  const draw = (failure) => {
    const facts = [h("span", {class: "item"}, failure.item), h("span", {class: "in-phase soft"}, failure.phase),
      h("span", {class: "why", dir: "auto"}, h("b", null, failure.type), failure.message ? `: ${failure.message}` : "")]
    if (!failure.traceback) { return h("li", null, h("div", {class: "plain"}, facts)) }
    return h("li", null, h("details", null, h("summary", null, facts), h("pre", {tabindex: 0}, failure.traceback)))
  }
  const show = (state) => {
    drawn = redraw(list, drawn, state.items, draw)
    nothing.style.display = drawn.length ? "none" : ""
    set_text(nothing, state.busy ? "Reading…" : state.total ? "The failed items are not at hand." : state.over ? "No item failed." : "No item has failed so far.")
    const paged = state.older || state.newer || state.total > drawn.length
    pager.style.display = paged && drawn.length ? "" : "none"
    older.disabled = !state.older || state.busy
    newer.disabled = !state.newer || state.busy
    set_text(range, `${(state.first + 1).toLocaleString("en")} to ${(state.first + drawn.length).toLocaleString("en")} of ${state.total.toLocaleString("en")}`)
  }
  return {node, show}
}

return component(FailureTable)
})()

const LogTable = (() => {
// A run's log: the lines at hand, which follow the end, and what they are filtered by.
const LEVELS = [["", "All levels"], ["INFO", "Info and up"], ["WARNING", "Warnings and up"], ["ERROR", "Errors"]]
const WINDOW_LINES = 500

function LogTable(page) {
  let state = {level: "", search: "", following: true, older: false, newer: false, busy: false}
  let missed = 0
  const level = h("select", {class: "in", "aria-label": "Level"},
    LEVELS.map(([value, text]) => h("option", {value}, text)))
  const search = h("input", {class: "in", type: "search", placeholder: "Search the whole log", "aria-label": "Search the whole log", maxlength: 200})
  const show_level = entered(level, () => page.send({type: "level", level: level.value}))
  const show_search = entered(search, () => page.send({type: "search", search: search.value}), 300)
  const follow = h("button", {class: "btn follow", type: "button", onclick: () => set_following(!state.following)})
  const older = h("div", {class: "edge"})
  const newer = h("div", {class: "edge"})
  const body = h("div", {role: "rowgroup"})
  const nothing = h("div", {class: "empty"})
  const lines = h("div", {class: "lines", role: "treegrid", "aria-label": "Log", "aria-live": "off", tabindex: 0}, older, body, nothing, newer)
  const pill = h("button", {class: "btn pill", type: "button", hidden: true, onclick: () => set_following(true)})
  const tools = h("div", {class: "tools"}, level, search, follow)
  const node = h("div", {class: "fills"}, tools, h("div", {class: "lines-outer"}, lines, pill))

  // What is drawn, oldest first: the offsets of the rows in `body`.
  let offsets = []
  const draw = ([offset, time, name, phase, message, fields]) => {
    const kind = {WARNING: "warning", ERROR: "error-line", CRITICAL: "error-line", DEBUG: "debug", INFO: "log-info"}[name] ?? ""
    return h("div", {class: `line ${kind}`, role: "row", "aria-expanded": fields ? "false" : null},
      h("span", {class: "time", role: "gridcell", title: new Date(time * 1000).toISOString()}, time_to_ms(time)),
      h("span", {class: "level", role: "gridcell"}, name), h("span", {class: "phase", role: "gridcell", title: phase}, phase),
      h("span", {class: "message", role: "gridcell"}, message),
      fields && h("div", {class: "extra", role: "gridcell"}, fields))
  }
  const fill = (rows) => { body.replaceChildren(...rows.map(draw)); offsets = rows.map((row) => row[0]) }
  const at_end = () => lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24
  // Scrolling by the program is told apart from the reader's by where it led.
  let expected = NaN
  // A reader who has begun to scroll is not pulled back by a line that comes before the browser says so.
  let touched = -Infinity
  const to_end = () => {
    if (performance.now() - touched < 400) { return }
    lines.scrollTop = lines.scrollHeight
    expected = lines.scrollTop
  }
  for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    lines.addEventListener(name, () => { touched = performance.now() }, {passive: true})
  }
  // What the reader chose and the server has not answered yet: states that were on their way then do not undo it.
  let chosen = null
  const set_following = (following) => {
    if (following) { missed = 0; touched = -Infinity; to_end() }
    chosen = following
    show({...state, following})
    page.send({type: "follow", following})
  }
  // Whether a line is open; null: all of it is seen anyway. A message is measured when somebody is there, not as it is drawn.
  const openness = (line) => {
    const message = line.querySelector(".message")
    if (line.classList.contains("open")) { return true }
    return message.scrollHeight > message.clientHeight + 2 || line.querySelector(".extra") != null ? false : null
  }
  const set_open = (line, open) => {
    if (openness(line) === null) { return }
    line.classList.toggle("open", open)
    set_attribute(line, "aria-expanded", String(open))
  }
  body.addEventListener("click", (event) => {
    const line = event.target.closest(".line")
    if (line == null || getSelection()?.toString()) { return }
    choose(line)
    set_open(line, !openness(line))
  })
  // Tab reaches one line, the last that is seen; arrow keys the others from there. Who is there is not taken along to the end.
  let current = null
  const choose = (line) => {
    if (line === current) { return }
    current?.removeAttribute("tabindex")
    current = line
    current?.setAttribute("tabindex", "0")
  }
  const is_there = () => current?.matches(":focus") ?? false
  lines.addEventListener("focus", () => {
    const end = lines.getBoundingClientRect().bottom
    let line = body.lastElementChild
    while (line?.previousElementSibling != null && line.getBoundingClientRect().bottom > end + 2) { line = line.previousElementSibling }
    choose(line)
  })
  body.addEventListener("focusin", () => {
    if (state.following && current.matches(":focus-visible")) { set_following(false) }
    const open = openness(current)
    set_attribute(current, "aria-expanded", open === null ? null : String(open))
  })
  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !is_there()) { return }
    const towards = {ArrowUp: current.previousElementSibling, ArrowDown: current.nextElementSibling,
      Home: body.firstElementChild, End: body.lastElementChild}
    if (event.key in towards) {
      choose(towards[event.key] ?? current)
      current.focus()
    } else if (event.key === "Enter" || event.key === " ") {
      set_open(current, !openness(current))
    } else if (event.key === "Escape" && openness(current)) {
      set_open(current, false)
    } else if (event.key === "Escape") {
      lines.focus()
    } else {
      return
    }
    event.preventDefault()
  })
  lines.addEventListener("scroll", () => {
    const top = lines.scrollTop
    const own = Math.abs(top - expected) < 2
    expected = NaN
    if (own) { return }
    if (state.following && !at_end()) {
      set_following(false)
    } else if (!state.following && at_end() && !state.newer && offsets.length > 0 && !is_there()) {
      set_following(true)
    }
    if (top < 80 && state.older && !state.busy) { page.send({type: "older"}) }
    if (at_end() && state.newer && !state.busy) { page.send({type: "newer"}) }
  })
  const receive = (message) => {
    const {kind, lines: rows} = message
    const there = is_there()
    if (kind === "replaced") {
      fill(rows)
      missed = 0
      if (state.following) { to_end() }
    } else if (kind === "appended") {
      // Those that would fall out at once are not drawn.
      drop(offsets.length + rows.length - WINDOW_LINES, "first")
      body.append(...rows.map(draw))
      offsets.push(...rows.map((row) => row[0]))
      if (state.following) { to_end() } else { missed += rows.length }
    } else if (kind === "prepended") {
      const height = lines.scrollHeight
      body.prepend(...rows.map(draw))
      offsets.unshift(...rows.map((row) => row[0]))
      lines.scrollTop += lines.scrollHeight - height
      expected = lines.scrollTop
      drop(offsets.length - WINDOW_LINES, "last")
    }
    if (!there || !current.isConnected) { choose(body.lastElementChild) }
    if (there && !is_there()) { lines.focus({preventScroll: true}) }
    show(state)
  }
  // Measured once before and once after: between two removals it would lay out all lines again for each.
  const drop = (many, which) => {
    if (many <= 0) { return }
    const moves = which === "first" && !state.following
    const height = moves ? lines.scrollHeight : 0
    for (let i = 0; i < many; i++) { (which === "first" ? body.firstElementChild : body.lastElementChild).remove() }
    if (which === "first") { offsets.splice(0, many) } else { offsets.splice(-many) }
    if (moves) {
      lines.scrollTop -= height - lines.scrollHeight
      expected = lines.scrollTop
    }
  }
  const show = (next, answered = false) => {
    if (chosen !== null) {
      if (answered && next.following === chosen) { chosen = null } else { next = {...next, following: chosen} }
    }
    state = next
    tools.style.display = next.tools ? "" : "none"
    // A run that is over has no more lines to follow.
    follow.style.display = next.over ? "none" : ""
    show_level(next.level)
    show_search(next.search)
    set_attribute(follow, "aria-pressed", String(next.following))
    set_text(follow, next.following ? "Following" : "Follow")
    const filtered = next.level !== "" || next.search !== ""
    nothing.style.display = offsets.length > 0 ? "none" : ""
    set_text(nothing, next.busy || next.any ? "Reading the log…" : filtered ? "No lines match." : next.away ? "The log can be read when the streamer is back." : next.over ? "This run logged nothing." : "No log lines yet.")
    older.style.display = next.older ? "" : "none"
    set_text(older, next.asks ? (next.busy ? "Reading earlier lines…" : "Earlier lines: scroll up") : "Earlier lines are not shown here.")
    newer.style.display = next.newer ? "" : "none"
    set_text(newer, next.asks ? "Later lines: scroll down" : "Later lines are not shown here.")
    pill.hidden = next.following || (missed === 0 && !next.newer)
    set_text(pill, missed > 0 ? `${missed.toLocaleString("en")} new ${missed === 1 ? "line" : "lines"} ↓` : "To the end ↓")
  }
  // Hidden or not yet on the page it cannot scroll; it does when it is first seen.
  const observer = new ResizeObserver(() => { if (state.following) { to_end() } })
  observer.observe(lines)
  page.on_remove(() => observer.disconnect())
  return {node, show: (next) => show(next, true), receive}
}

return component(LogTable)
})()

const Notice = (() => {
// What to know first, as a banner, or as all there is on a page.
function Notice(page) {
  const node = h("div")
  const show = (state) => {
    const {kind, title, text, code, link, page} = state
    if (kind === "") { node.replaceChildren(); return }
    const moving = kind === "away" || kind === "connecting"
    if (page) {
      node.replaceChildren(h("div", {class: "card page-note", role: "status"},
        moving ? h("div", {class: "spin"}) : null, h("h1", null, title), h("p", null, text),
        code ? h("div", null, h("span", {class: "code mono small"}, code)) : null,
        link.length ? h("div", null, h("a", {class: "btn", href: link[0]}, link[1])) : null))
      return
    }
    const tone = kind === "notice" ? "bad" : "warn"
    node.replaceChildren(h("div", {class: "banner", role: kind === "notice" ? "alert" : "status", style: `--tone:var(--st-${tone})`},
      moving ? h("span", {class: "spin"}) : h("span", {class: "mark", "aria-hidden": "true"}, "!"),
      h("p", null, h("b", null, `${title}. `), text)))
  }
  return {node, show}
}

return component(Notice)
})()

const Percent = (() => {
// How far a run is, as one large number, and what it does now.
function Percent(page) {
  const number = document.createTextNode("")
  const unit = h("small")
  const pct = h("div", {class: "pct", role: "progressbar", "aria-label": "Overall progress", "aria-valuemin": 0, "aria-valuemax": 100}, number, unit)
  const phase = h("b")
  const now = h("span")
  const result = h("button", {class: "more", type: "button", onclick: () => page.send({type: "result"})}, "See the result")
  const left = h("b")
  const moment = h("div", {class: "lab"})
  const node = h("div", {class: "progress"}, pct, h("div", {class: "left"}, left, moment), h("div", {class: "now"}, phase, now, " ", result))
  const show = (state) => {
    if (number.data !== state.number) { number.data = state.number }
    set_text(unit, state.unit)
    unit.style.display = state.unit === "" ? "none" : ""
    pct.className = `pct ${state.tone ?? ""}`
    set_attribute(pct, "aria-valuenow", state.value)
    set_attribute(pct, "aria-valuetext", state.spoken)
    set_text(left, state.left)
    write_parts(moment, state.when)
    set_text(phase, state.phase)
    // A number is not parted from its unit where the line breaks.
    set_text(now, `${state.phase && state.now ? " · " : ""}${state.now.replace(/ (?=[^ ]+\/(s|min|h)$)/, "\u00a0")}`)
    result.style.display = state.result ? "" : "none"
  }
  return {node, show}
}

return component(Percent)
})()

const PhaseBar = (() => {
// The phases of a run.
const GAP = 3
const NARROW_GAP = 2

// The phases as segments that are as wide as their weights, each named below, or in a list where there is no room.
function PhaseBar(page) {
  const bar = h("div", {class: "bar", role: "img"})
  const labels = h("div", {class: "labels", "aria-hidden": "true"})
  const list = h("ul", {class: "list"})
  let all = false
  const more = h("button", {class: "more", type: "button", onclick: () => { all = !all; arrange() }})
  const node = h("div", null, bar, labels, list, more)
  let state = {segments: [], labels: []}
  const parts = []
  const bits = []
  const rows = []
  const mark = (label, always) => (always || !["active", "waiting"].includes(label.kind) ? h("span", {class: `mark ${label.kind}`, "aria-hidden": "true"}, label.mark) : null)
  const gap = () => (state.segments.length <= 12 ? GAP : NARROW_GAP)
  const arrange = () => {
    const width = bar.clientWidth
    if (width === 0) { return }
    labels.style.display = ""
    let fits = true
    let left = 0
    const spare = gap() * (state.segments.length - 1)
    state.labels.forEach((label, i) => {
      const share = state.segments[i].share
      const last = i + 1 === state.labels.length
      bits[i].style.left = `calc((100% - ${spare}px) * ${left} + ${gap() * i}px)`
      // The longest wording that has room; when not even the shortest has, all go into the list.
      fits &&= label.details.some((text) => {
        set_text(bits[i].lastElementChild, text)
        return bits[i].offsetWidth - (last ? 10 : 0) <= share * (width - spare) + (last ? 0 : gap())
      })
      left += share
    })
    labels.style.display = fits && state.labels.length > 0 ? "" : "none"
    list.style.display = fits || state.labels.length === 0 ? "none" : ""
    const long = state.labels.length > 9
    const at = Math.max(state.labels.findIndex((label) => ["active", "failed", "stopped"].includes(label.kind)), 0)
    const first = Math.min(Math.max(at - 2, 0), Math.max(state.labels.length - 6, 0))
    const narrow = width < 560
    rows.forEach((row, i) => { row.style.display = long && narrow && !all && (i < first || i >= first + 6) ? "none" : "" })
    more.style.display = !fits && long && narrow ? "" : "none"
    set_text(more, all ? "Fewer phases" : `All ${state.labels.length} phases`)
  }
  const observer = new ResizeObserver(arrange)
  observer.observe(node)
  page.on_remove(() => observer.disconnect())
  document.fonts?.ready.then(arrange)
  const show = (next) => {
    const before = state
    state = next
    set_attribute(bar, "aria-label", next.spoken)
    bar.style.gap = `${gap()}px`
    next.segments.forEach((segment, i) => {
      if (parts[i] == null) {
        parts[i] = h("div", null, h("i"))
        bar.append(parts[i])
      }
      parts[i].className = `segment ${segment.kind} ${segment.moving ? "moving" : ""}`
      parts[i].style.flexGrow = segment.share
      parts[i].firstElementChild.style.width = `${segment.fill * 100}%`
    })
    for (const extra of parts.splice(next.segments.length)) { extra.remove() }
    next.labels.forEach((label, i) => {
      if (JSON.stringify(before.labels[i]) === JSON.stringify(label) && bits[i] != null) { return }
      const bit = h("div", {title: `${label.name} · ${label.details[0]}`},
        h("div", {class: "name"}, mark(label, false), label.name), h("div", {class: "detail"}, label.details[0]))
      const row = h("li", {class: label.kind, title: label.name}, h("span", {class: "name"}, mark(label, true), label.name), h("span", {class: "detail"}, label.details[0]))
      if (bits[i] == null) { labels.append(bit); list.append(row) } else { bits[i].replaceWith(bit); rows[i].replaceWith(row) }
      bits[i] = bit
      rows[i] = row
    })
    for (const extra of [...bits.splice(next.labels.length), ...rows.splice(next.labels.length)]) { extra.remove() }
    arrange()
  }
  return {node, show}
}

return component(PhaseBar)
})()

const RunControls = (() => {
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

return component(RunControls)
})()

const RunError = (() => {
// Why a run failed.
function RunError() {
  const node = h("div")
  const show = (state) => {
    if (!state.shown) { node.replaceChildren(); return }
    node.replaceChildren(h("div", {class: "card broken", role: "alert"},
      h("div", {class: "what", dir: "auto"}, h("b", null, state.type), state.message ? `: ${state.message}` : ""),
      state.where ? h("div", {class: "soft small"}, `in phase ${state.where}`) : null,
      state.traceback ? h("details", null, h("summary", null, "Traceback"), h("pre", {tabindex: "0"}, state.traceback)) : null))
  }
  return {node, show}
}

return component(RunError)
})()

const RunView = (() => {
// A run's page: where its indicators stand, and the tabs of the last four.
const TAB_NAMES = {log: "Log", failures: "Failed items", parameters: "Parameters", result: "Result"}

function DetailTabs(page) {
  const names = Object.keys(TAB_NAMES)
  const counts = {}
  const buttons = {}
  const panels = {}
  let tab = null
  let state = {counts: {}}
  // What the reader chose and the server has not answered yet: states that were on their way then do not undo it.
  let chosen = null
  const choose = (name) => {
    chosen = tab = name
    show(state)
    page.send({type: "tab", tab: name})
  }
  for (const name of names) {
    counts[name] = h("em")
    buttons[name] = h("button", {type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, onclick: () => choose(name)}, `${TAB_NAMES[name]} `, counts[name])
    panels[name] = h("div", {class: "panel", role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`}, page.part(name))
  }
  const tabs = h("div", {class: "tabs", role: "tablist", "aria-label": "Details", onkeydown: (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key]
    if (step == null) { return }
    const at = names.findIndex((name) => buttons[name].getAttribute("aria-selected") === "true")
    const next = names[(at + step + names.length) % names.length]
    choose(next)
    buttons[next].focus()
  }}, Object.values(buttons))
  const node = h("section", {class: "card details"}, tabs, Object.values(panels))
  const show = (next) => {
    if (next.tab === chosen) { chosen = null }
    state = chosen === null ? next : {...next, tab: chosen}
    // Chosen from elsewhere on the page: it may be out of sight.
    if (tab !== null && tab !== state.tab) { node.scrollIntoView({block: "nearest"}) }
    tab = state.tab
    for (const name of names) {
      set_attribute(buttons[name], "aria-selected", String(state.tab === name))
      buttons[name].tabIndex = state.tab === name ? 0 : -1
      panels[name].hidden = state.tab !== name
      set_text(counts[name], state.counts[name] ?? "")
    }
  }
  return {node, show}
}
function RunView(page) {
  const tabs = DetailTabs(page)
  const known = h("div", null, h("div", {class: "top"}, page.part("status"), page.part("buttons")), page.part("error"),
    h("div", {class: "card hero"}, page.part("percent"), h("div", {class: "apart"}, page.part("phase_bar")), page.part("bars")),
    h("div", {class: "beside"}, h("section", {class: "card pad"}, page.part("throughput")), h("section", {class: "card pad"}, page.part("counts"))), tabs.node)
  const node = h("div", null, page.part("notice"), known)
  const show = (state) => {
    known.hidden = !state.known
    tabs.show(state)
  }
  return {node, show}
}

return component(RunView)
})()

const RunsTable = (() => {
// The list of runs, with its filters and its order; and how to start one when there are none.
const STATUSES = [["", "Any status"], ["queued", "Queued"], ["running", "Running"], ["stalled", "Stalled"], ["cancelling", "Cancelling"],
  ["complete", "Complete"], ["partial", "Partial"], ["failed", "Failed"], ["cancelled", "Cancelled"], ["failures", "With failed items"]]
const TIMES = [["", "Any time"], ["day", "Last 24 hours"], ["week", "Last 7 days"], ["month", "Last 30 days"]]
const SORTS = [["-created", "Newest first"], ["created", "Oldest first"], ["-elapsed", "Longest first"], ["elapsed", "Shortest first"],
  ["-failed", "Most failed first"], ["failed", "Fewest failed first"], ["title", "By title"], ["-title", "By title, backwards"], ["owner", "By owner"],
  ["-owner", "By owner, backwards"]]
// The columns: title, class, what a click on it sorts by at first, and then.
const COLUMNS = [["Run", "", "title", "-title"], ["Status", ""], ["Progress", ""], ["Phase", "lean"], ["Elapsed", "lean", "-elapsed", "elapsed"],
  ["Failed", "lean", "-failed", "failed"], ["Started", "lean", "-created", "created"]]

function RunsTable(page) {
  const counts = h("div", {class: "sub"})
  const start = h("a", {class: "btn primary"}, "Start a pipeline")
  const options = (pairs) => pairs.map(([value, text]) => h("option", {value}, text))
  const select = (name, pairs, more = "") => h("select", {class: `in ${more}`, "aria-label": name}, options(pairs))
  const choose = (changes) => page.send({type: "choose", ...changes})
  const status = select("Status", STATUSES)
  const within = select("Started", TIMES)
  const sort = select("Order", SORTS, "order")
  const owner = select("Owner", [])
  // Pipelines by name, and scripts, notebooks and commands by title, with a letter before the name.
  const what = select("Pipeline or title", [])
  const search = h("input", {class: "in", type: "search", placeholder: "Search title, owner, parameters", "aria-label": "Search title, owner, parameters", maxlength: 200})
  const show_status = entered(status, () => choose({status: status.value}))
  const show_within = entered(within, () => choose({within: within.value}))
  const show_sort = entered(sort, () => choose({sort: sort.value}))
  const show_owner = entered(owner, () => choose({owner: owner.value}))
  const show_what = entered(what, () => {
    const name = what.value.slice(1)
    choose(what.value.startsWith("t") ? {pipeline: "", title: name} : {pipeline: name, title: ""})
  })
  const show_search = entered(search, () => choose({search: search.value}), 250)
  const filters = h("div", {class: "filters"}, status, what, owner, within, sort, search)
  const heads = COLUMNS.map(([name, kind, first, then]) => {
    const click = () => choose({sort: state?.sort === first ? then : first})
    const inside = first == null ? name : h("button", {type: "button", class: "sort", onclick: click}, name, h("span", {"aria-hidden": "true"}))
    return h("th", {scope: "col", class: kind}, inside)
  })
  const body = h("tbody")
  const table = h("table", {"aria-label": "Runs"}, h("thead", null, h("tr", null, heads)), body)
  const nothing = h("div")
  const more = h("button", {class: "btn", type: "button", onclick: () => page.send({type: "older"})}, "More runs")
  const shown = h("span", {class: "lab"})
  const foot = h("div", {class: "foot"}, shown, more)
  const node = h("div", null, h("div", {class: "head"}, h("div", null, h("h1", null, "Runs"), counts), start), filters,
    h("section", {class: "card runs"}, table, nothing, foot))

  const rows = new Map()
  // A row is drawn once, and then changed: a click, a focus and a selection are not lost to an update while they are being made.
  const draw = ({href}) => {
    const fill = h("i")
    const parts = {title: h("a", {href, dir: "auto"}), about: h("div", {class: "lab"}), chip: h("span"), fill,
      bar: h("span", {role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100}, fill), progress: h("span"), left: h("span", {class: "lab left"}), phase: h("td", {class: "lean phase"}),
      elapsed: h("td", {class: "lean tight"}), failed: h("td"), began: h("td", {class: "lean tight"}), facts: h("td", {class: "phone lab"})}
    const item = h("tr", {onclick: (event) => { if (!event.target.closest("a") && !getSelection()?.toString()) { location.assign(href) } }},
      h("td", {class: "name"}, parts.title, parts.about), h("td", {class: "state"}, parts.chip), h("td", {class: "amount tight"}, parts.bar, parts.progress, parts.left),
      parts.phase, parts.elapsed, parts.failed, parts.began, parts.facts)
    return {item, ...parts}
  }
  const update = (row, {title, about, chip, bar, fill, progress, left, phase, elapsed, failed, began, facts}) => {
    set_text(title, row.title)
    set_text(about, row.about)
    set_text(chip, row.word)
    chip.className = `chip ${row.tone} ${row.live ? "live" : ""}`
    bar.className = `mini ${row.tone} ${row.moving ? "moving" : ""}`
    fill.style.width = `${row.value}%`
    set_attribute(bar, "aria-label", `Progress of ${row.title}`)
    set_attribute(bar, "aria-valuenow", row.moving ? null : row.value)
    set_attribute(bar, "aria-valuetext", row.progress)
    set_text(progress, row.progress)
    set_text(left, row.left === "" ? "" : `${row.left} left`)
    set_text(phase, row.phase)
    set_attribute(phase, "title", row.phase.length > 14 ? row.phase : null)
    set_text(elapsed, row.elapsed)
    set_text(failed, row.failed)
    failed.className = `lean tight ${row.bad ? "bad" : ""}`
    write_parts(began, [row.when ?? "—"])
    write_parts(facts, in_a_line(row))
  }
  // On a phone the columns that have no room are one line.
  const in_a_line = (row) => {
    const parts = [row.phase, row.elapsed].filter((text) => text !== "—")
    if (row.bad) { parts.push(`${row.failed} failed`) }
    const text = parts.join(" · ")
    return row.when == null ? [text] : text === "" ? [row.when] : [text, " · ", row.when]
  }
  const put = (row) => {
    if (!rows.has(row.run)) { rows.set(row.run, draw(row)) }
    update(row, rows.get(row.run))
  }
  const order = (runs) => {
    for (const [run, {item}] of rows) {
      if (!runs.includes(run)) { item.remove(); rows.delete(run) }
    }
    let at = body.firstElementChild
    for (const run of runs) {
      const {item} = rows.get(run)
      if (item === at) { at = at.nextElementSibling } else { body.insertBefore(item, at) }
    }
  }
  // The choices of a select, those of groups last; they are made again only when they changed, since a list may be open.
  const offer = (field, pairs, groups = []) => {
    const key = JSON.stringify([pairs, groups])
    if (key === field.dataset.offered) { return }
    field.dataset.offered = key
    field.replaceChildren(...options(pairs), ...groups.filter(([, inner]) => inner.length > 0).map(([label, inner]) => h("optgroup", {label}, options(inner))))
  }
  let state = null
  const receive = (change) => {
    change.rows.forEach(put)
    if (change.order != null) { order(change.order) }
    if (state != null) { show(state) }
  }
  const show = (next) => {
    state = next
    set_text(counts, state.counts)
    set_attribute(start, "href", state.start)
    // Without runs the way to start one is below, with the words.
    start.style.display = state.empty && !state.filtered && !state.busy ? "none" : ""
    show_status(state.status)
    show_within(state.within)
    show_sort(state.sort)
    offer(owner, [["", "Any owner"], ...state.owners.map((name) => [name, name])])
    show_owner(state.owner)
    const named = (letter, names) => names.map((name) => [letter + name, name])
    offer(what, [["", "Any pipeline or title"]], [["Pipelines", named("p", state.pipelines)], ["Scripts, notebooks, commands", named("t", state.titles)]])
    show_what(state.title ? `t${state.title}` : state.pipeline ? `p${state.pipeline}` : "")
    COLUMNS.forEach(([, , first, then], at) => {
      const order = first == null ? null : state.sort === first || state.sort === then ? (state.sort.startsWith("-") ? "descending" : "ascending") : "none"
      set_attribute(heads[at], "aria-sort", order)
    })
    set_text(shown, state.shown)
    show_search(state.search)
    filters.style.display = state.empty && !state.filtered ? "none" : ""
    table.style.display = rows.size ? "" : "none"
    foot.style.display = state.older && rows.size ? "" : "none"
    more.disabled = state.busy || !state.asks
    set_text(more, state.busy ? "Reading…" : "More runs")
    const key = rows.size ? "" : state.busy || !(state.empty || state.filtered) ? "busy" : state.filtered ? "filtered" : `empty ${state.start} ${state.snippet}`
    if (nothing.dataset.key === key) { return }
    nothing.dataset.key = key
    nothing.replaceChildren(...(key === "" ? [] : key === "busy" ? [h("div", {class: "empty"}, "Reading the runs…")]
      : key === "filtered" ? [h("div", {class: "empty"}, h("p", null, "No run matches."),
        h("button", {class: "btn", type: "button", style: "margin-top:14px", onclick: () => page.send({type: "clear"})}, "Show all runs"))]
      : [h("div", {class: "start-empty"}, h("h2", null, "No runs yet"),
        h("p", null, "A run appears here as soon as one is started: from this page, from a script or notebook, or from a terminal."),
        h("pre", {tabindex: 0}, state.snippet), h("a", {class: "btn primary", href: state.start}, "Start a pipeline"))]))
  }
  return {node, show, receive}
}

return component(RunsTable)
})()

const RunsView = (() => {
// The list of runs: what to know first, and the table.
function RunsView(page) {
  const node = h("div", null, page.part("notice"), page.part("table"))
  return {node}
}

return component(RunsView)
})()

const StartForm = (() => {
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

return component(StartForm)
})()

const Status = (() => {
// A run's head: its name, its status as a chip, who started it, the sentence about its life, and facts in rows.
function Status() {
  const title = h("h1", {dir: "auto"})
  const chip = h("span", {class: "chip", role: "status"})
  const about = h("span")
  const life = h("span", {class: "life"})
  const sub = h("div", {class: "sub"}, about, " ", life)
  const facts = h("dl", {class: "facts"})
  const node = h("div", {class: "status"}, h("div", {class: "title"}, title, chip), sub, facts)
  let drawn = []
  const draw = ({name, parts, tone}) => h("div", null, h("dt", null, name), h("dd", {class: tone}, parts.map(
    (part) => typeof part === "string" ? part : part[1] === "" ? h("span", {class: "mono"}, part[0]) : h("a", {class: "mono", href: part[1]}, part[0]))))
  const show = (state) => {
    set_text(title, state.title)
    title.title = state.title.length > 60 ? state.title : ""
    title.style.display = state.title === "" ? "none" : ""
    set_text(chip, state.word)
    chip.className = `chip ${state.tone} ${state.live ? "live" : ""}`
    chip.style.display = state.word === "" ? "none" : ""
    write_parts(about, state.life && state.about.length ? [...state.about, " ·"] : state.about)
    // It is broken between its parts only.
    set_text(life, state.life.split(" · ").map((part) => part.replaceAll(" ", "\u00a0")).join(" · "))
    life.className = `life ${state.quiet ? "quiet" : ""}`
    sub.style.display = state.about.length || state.life ? "" : "none"
    drawn = redraw(facts, drawn, state.facts, draw)
    facts.style.display = state.facts.length ? "" : "none"
  }
  return {node, show}
}

return component(Status)
})()

const Throughput = (() => {
// Units per second. In a Panel app the curve is a Bokeh figure, which is a child of the component; a widget draws its own.
function Throughput(page) {
  const label = h("span", {class: "lab"})
  const span = h("span", {class: "lab"})
  const holder = h("div", {class: "plot", role: "img"})
  const nothing = h("div", {class: "plot-empty"})
  const node = h("div", null, h("div", {class: "row between"}, label, span), holder, nothing)
  const child = page.part("figure")
  if (child != null) {
    // Bokeh lets keys reach a figure, in which they do nothing. What is within a host of this tabindex is left out.
    child.tabIndex = -1
    holder.append(child)
  }
  let name = ""
  let format = ""
  let colours = null
  const svg = child == null ? make_curve(holder) : null
  const figure = () => {
    for (const one of window.Bokeh?.documents ?? []) {
      const found = one.get_model_by_name(name)
      if (found != null) { return found }
    }
    return null
  }
  // The colours and the format are this browser's own: the server is not told of them.
  const paint = () => {
    const plot = child == null || name === "" || colours == null ? null : figure()
    if (plot == null) { return }
    const set = (model, values) => model.setv(values, {sync: false})
    for (const renderer of plot.renderers) {
      if (renderer.name === "area") { set(renderer.glyph, {fill_color: {value: colours["accent-soft"]}}) }
      if (renderer.name === "line") { set(renderer.glyph, {line_color: {value: colours.accent}}) }
    }
    for (const axis of plot.left) {
      set(axis, {major_label_text_color: colours.soft})
      if (format !== "") { set(axis.formatter, {format}) }
    }
    for (const grid of plot.center) { set(grid, {grid_line_color: colours.line}) }
  }
  on_theme(page, (next) => { colours = next; paint() })
  const show = (state) => {
    set_text(label, state.label)
    set_text(span, state.span)
    holder.classList.toggle("hidden", !state.known)
    nothing.style.display = state.known ? "none" : ""
    set_text(nothing, state.text)
    set_attribute(holder, "aria-label", state.spoken || "Throughput")
    svg?.(state.points ?? [])
    if (name !== state.figure || format !== state.format) {
      name = state.figure
      format = state.format
      paint()
    }
  }
  return {node, show}
}

// Returns what draws points (seconds, rate) as a curve over an area.
function make_curve(holder) {
  const made = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
    for (const [key, value] of Object.entries(attributes)) { element.setAttribute(key, value) }
    return element
  }
  const area = made("path", {fill: "var(--st-accent-soft)"})
  const line = made("path", {fill: "none", stroke: "var(--st-accent)", "stroke-width": 2, "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke"})
  const svg = made("svg", {viewBox: "0 0 100 100", preserveAspectRatio: "none", width: "100%", height: "100%"})
  svg.append(area, line)
  const most = h("span", {class: "lab most"})
  holder.append(svg, most)
  return (points) => {
    if (points.length < 2) { return }
    const last = points[points.length - 1][0] || 1
    const highest = Math.max(...points.map(([, rate]) => rate)) || 1
    const at = points.map(([t, rate]) => `${(100 * t / last).toFixed(2)},${(100 - 88 * rate / highest).toFixed(2)}`)
    line.setAttribute("d", `M${at.join("L")}`)
    area.setAttribute("d", `M${at[0].split(",")[0]},100L${at.join("L")}L100,100Z`)
    set_text(most, highest.toLocaleString("en", {maximumFractionDigits: 1, notation: "compact"}))
  }
}

return component(Throughput)
})()

const Values = (() => {
// Parameters or a result: tables, pairs, text.
function Values(page) {
  const node = h("div", {class: "values"})
  let key = ""
  const pairs = (rows) => h("table", {class: "pairs"}, h("tbody", null, rows.map(([name, value, nested]) =>
    h("tr", null, h("th", {scope: "row", dir: "auto"}, name), h("td", null, nested ? h("pre", {class: "nested"}, value) : value)))))
  const table = (state, alone) => h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": state.title || "Result"}, h("table", null,
    state.title ? h("caption", {class: alone ? "seen-by-readers" : "title"}, state.title) : null,
    h("thead", null, h("tr", null, state.columns.map((column) => h("th", {scope: "col", class: column.numeric ? "num-cell" : ""}, column.name)))),
    h("tbody", null, state.rows.map((row) => h("tr", null, row.map((cell, i) => h("td", {class: state.columns[i].numeric ? "num-cell" : cell.length <= 20 && !cell.includes("\n") ? "tight" : ""}, cell)))))))
  const show = (state) => {
    if (JSON.stringify(state) === key) { return }
    key = JSON.stringify(state)
    const parts = []
    if (state.around.length) {
      parts.push(h("div", {class: "facts"}, state.around.map(([name, value]) => h("span", null, h("span", {class: "lab"}, `${name} `), h("b", null, value)))))
    }
    if (state.kind === "empty") { parts.push(h("div", {class: "empty"}, state.note)) }
    for (const one of state.tables) {
      parts.push(table(one, state.tables.length === 1))
      if (one.note) { parts.push(h("div", {class: "note"}, one.note)) }
    }
    if (state.rows.length) { parts.push(pairs(state.rows)) }
    if (state.kind === "text") { parts.push(h("div", {class: "text"}, h("pre", {tabindex: 0}, state.text))) }
    if (state.kind !== "empty" && state.note) { parts.push(h("div", {class: "note"}, state.note)) }
    if (state.error) {
      const said = `${state.error.type}${state.error.message ? `: ${state.error.message}` : ""}`
      parts.push(h("div", {class: "error-text"}, h("pre", {tabindex: 0}, state.error.traceback || said)))
    }
    node.replaceChildren(...parts)
  }
  return {node, show}
}

return component(Values)
})()

const Where = (() => {
// The bar of a page is there before this script is, and draws itself: it is told where its reader is.
function Where() {
  return {node: document.createComment("where"), show: (state) => dispatchEvent(new CustomEvent("streamer-where", {detail: state}))}
}

return component(Where)
})()

export default {Bars, Counts, FailureTable, LogTable, Notice, Percent, PhaseBar, RunControls, RunError, RunView, RunsTable, RunsView, StartForm, Status, Throughput, Values, Where}
