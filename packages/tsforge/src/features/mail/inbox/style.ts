/** Style of the inbox: two panes on a desk, one after the other on a phone. */
export const inboxStyle = `:root {
  color-scheme: light dark;
  --back: light-dark(#f4f5f7, #14171c);
  --pane: light-dark(#fff, #1b1f26);
  --line: light-dark(#dfe3e8, #2e343d);
  --text: light-dark(#1a1f27, #e7eaee);
  --quiet: light-dark(#5b6572, #9aa4b1);
  --accent: light-dark(#1f5fd0, #7aa7f5);
  --chosen: light-dark(#e8f0fe, #243350);
}
* { box-sizing: border-box }
[hidden] { display: none !important }
html, body { height: 100% }
body { margin: 0; display: flex; flex-direction: column; font: 15px/1.45 system-ui, sans-serif; color: var(--text); background: var(--back) }
button, input, select { font: inherit; color: inherit }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }
.bar { display: flex; gap: .6rem; align-items: center; padding: .6rem 1rem; background: var(--pane); border-bottom: 1px solid var(--line) }
.bar h1 { margin: 0 auto 0 0; font-size: 1.05rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
.bar h1 span { color: var(--quiet); font-weight: 400 }
.bar input, .bar select, button { padding: .4rem .7rem; border: 1px solid var(--line); border-radius: .45rem; background: var(--back) }
.bar input { width: 20rem; min-width: 0 }
.bar select { max-width: 13rem }
button { cursor: pointer; white-space: nowrap }
button.quiet { background: none; color: var(--quiet) }
button:hover { border-color: var(--accent); color: var(--accent) }
.panes { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(17rem, 24rem) 1fr }
#list { overflow-y: auto; background: var(--pane); border-right: 1px solid var(--line) }
#list a { display: block; padding: .65rem 1rem; border-bottom: 1px solid var(--line); color: inherit; text-decoration: none; overflow-wrap: anywhere }
#list a:hover { background: var(--back) }
#list a[aria-current] { background: var(--chosen); box-shadow: inset 3px 0 var(--accent) }
#list .top { display: flex; gap: .6rem; justify-content: space-between; color: var(--quiet); font-size: .85rem }
#list .top span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
#list time { white-space: nowrap }
#list strong { display: block; font-weight: 600 }
#list small { display: block; color: var(--quiet); overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.none { padding: 2rem 1rem; color: var(--quiet); text-align: center }
#mail { display: flex; flex-direction: column; min-width: 0; min-height: 0; background: var(--pane) }
#mail:focus { outline: none }
.head { padding: .9rem 1.2rem .5rem }
.head h2 { margin: 0 0 .5rem; font-size: 1.2rem; line-height: 1.3; overflow-wrap: anywhere }
.head dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; margin: 0; font-size: .9rem }
.head dt { color: var(--quiet) }
.head dd { margin: 0; overflow-wrap: anywhere }
.actions { float: right; display: flex; gap: .4rem; margin: 0 0 .5rem .8rem }
.tabs { display: flex; gap: .2rem; padding: 0 1rem; border-bottom: 1px solid var(--line); overflow-x: auto }
.tabs button { border: 0; border-bottom: 2px solid transparent; border-radius: 0; background: none; color: var(--quiet); padding: .5rem .6rem }
.tabs button[aria-selected=true] { color: var(--text); border-bottom-color: var(--accent) }
.tabs .width { margin-left: auto; display: flex; align-items: center }
.view { flex: 1; min-height: 0; overflow: auto }
.view pre { margin: 0; padding: 1rem 1.2rem; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, monospace }
.view pre.text { font: 15px/1.55 system-ui, sans-serif }
.view iframe { display: block; width: 100%; height: 100%; border: 0; background: #fff; margin: 0 auto }
.view iframe.narrow { width: 375px; max-width: 100%; border-inline: 1px solid var(--line) }
.view table { width: 100%; border-collapse: collapse; font-size: .9rem }
.view th, .view td { text-align: left; vertical-align: top; padding: .4rem 1.2rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
.view th { color: var(--quiet); font-weight: 500; width: 1%; white-space: nowrap }
.view ul { list-style: none; margin: 0; padding: .4rem 1.2rem }
.view li { padding: .45rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
.view li small { color: var(--quiet) }
.view a { color: var(--accent) }
#state { position: fixed; right: 1rem; bottom: 1rem; margin: 0; padding: .4rem .8rem; border-radius: .5rem; background: var(--text); color: var(--pane); font-size: .85rem }
#state:empty { display: none }
#back { display: none }
@media (max-width: 720px) {
  .bar { flex-wrap: wrap; padding: .5rem .8rem }
  .bar input { order: 1; width: 100% }
  .bar h1 span { display: none }
  .bar select { max-width: min(9rem, 33vw) }
  .panes { grid-template-columns: 1fr }
  #list { border-right: 0 }
  #list a, .head { padding-inline: .8rem }
  body.open #list, body.open .bar, body:not(.open) #mail { display: none }
  #back { display: block }
  .actions { float: none; margin: 0 0 .6rem; justify-content: space-between }
  .tabs { padding: 0 .4rem; gap: 0 }
  .tabs button { padding: .5rem .4rem }
  .tabs .width { display: none }
  .view th { white-space: normal; width: 32% }
  .view th, .view td { padding-inline: .8rem }
}
`
