/** Script of the inbox. What mails say goes into the page as text alone. */
export const inboxScript = `'use strict'
const api = '/dev/mail/api'
const at = (id) => document.getElementById(id)
const [list, pane, search, templates, state] = ['list', 'mail', 'search', 'templates', 'state'].map(at)
const tabs = ['html', 'text', 'source', 'headers', 'attachments', 'links']
let items = []
let detail
let drawn = ''
let narrow = false

function el(name, props = {}, ...children) {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value)
    else node.setAttribute(key, value === true ? '' : value)
  }
  node.append(...children.filter((child) => child !== undefined))
  return node
}
async function ask(path, init) {
  const answer = await fetch(api + path, init)
  if (!answer.ok) throw Object.assign(new Error(String(answer.status)), { status: answer.status })
  return answer.status === 204 ? undefined : answer
}
const data = async (path) => (await (await ask(path)).json()).data
const place = () => {
  const [id = '', tab = ''] = location.hash.slice(1).split('/')
  return { id, tab }
}
const kb = (bytes) => (bytes < 1024 ? bytes + ' B' : bytes < 1048576 ? (bytes / 1024).toFixed(1) + ' kB' : (bytes / 1048576).toFixed(1) + ' MB')
function when(text) {
  const date = new Date(text)
  const today = date.toDateString() === new Date().toDateString()
  return today ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) : date.toLocaleDateString()
}

function drawList() {
  const { id } = place()
  if (items.length === 0) {
    list.replaceChildren(el('p', { class: 'none' }, search.value ? 'No mail says that.' : 'No mail yet. What the app sends appears here.'))
    return
  }
  list.replaceChildren(
    ...items.map((mail) =>
      el(
        'a',
        { href: '#' + mail.id, 'aria-current': mail.id === id && 'true' },
        el('span', { class: 'top' }, el('span', {}, mail.to.join(', ')), el('time', { datetime: mail.at }, when(mail.at))),
        el('strong', {}, mail.subject || '(no subject)'),
        el('small', {}, (mail.attachments === 0 ? '' : mail.attachments + (mail.attachments === 1 ? ' file' : ' files') + ' \\u00b7 ') + mail.preview),
      ),
    ),
  )
}

let asked = 0
async function refresh() {
  const turn = ++asked
  try {
    const { items: found } = await data('/messages?q=' + encodeURIComponent(search.value.trim()))
    // Answers may overtake each other: an older list would bring back what was deleted.
    if (turn !== asked) return
    const key = JSON.stringify(found.map(({ id }) => id)) + search.value
    items = found
    state.textContent = ''
    if (key !== drawn) {
      drawn = key
      drawList()
    }
  } catch (error) {
    state.textContent = error.status === undefined ? 'The app does not answer. Trying again.' : 'The app answers ' + error.status + '.'
  }
}

async function open() {
  const { id, tab } = place()
  document.body.classList.toggle('open', id !== '')
  drawList()
  if (id === '') {
    detail = undefined
    pane.replaceChildren(el('p', { class: 'none' }, 'Choose a mail.'))
    return
  }
  try {
    if (detail?.id !== id) detail = await data('/messages/' + encodeURIComponent(id))
  } catch {
    detail = undefined
    pane.replaceChildren(el('p', { class: 'none' }, 'This mail is gone. ', el('a', { href: '#' }, 'Back')))
    return
  }
  const chosen = tabs.includes(tab) ? tab : detail.has_html ? 'html' : 'text'
  pane.replaceChildren(head(), bar(chosen), el('div', { class: 'view', role: 'tabpanel' }, await view(chosen)))
}

function head() {
  const row = (name, value) => (value.length === 0 ? [] : [el('dt', {}, name), el('dd', {}, value)])
  return el(
    'div',
    { class: 'head' },
    el(
      'div',
      { class: 'actions' },
      el('button', { id: 'back', type: 'button', onclick: () => (location.hash = '') }, '\\u2190 Back'),
      el('button', { type: 'button', id: 'delete', onclick: remove }, 'Delete'),
    ),
    el('h2', {}, detail.subject || '(no subject)'),
    el(
      'dl',
      {},
      ...row('From', detail.from),
      ...row('To', detail.to.join(', ')),
      ...row('Cc', detail.cc.join(', ')),
      ...row('Bcc', detail.bcc.join(', ')),
      ...row('Date', new Date(detail.at).toLocaleString() + ' \\u00b7 ' + kb(detail.size)),
    ),
  )
}

function bar(chosen) {
  const names = { html: 'HTML', text: 'Text', source: 'Source', headers: 'Headers', attachments: 'Files ' + detail.files.length, links: 'Links ' + detail.links.length }
  const shown = tabs.filter((tab) => (tab !== 'html' || detail.has_html) && (tab !== 'attachments' || detail.files.length > 0))
  const width = () => {
    narrow = !narrow
    void open()
  }
  return el(
    'div',
    { class: 'tabs', role: 'tablist' },
    ...shown.map((tab) =>
      el('button', { type: 'button', role: 'tab', 'aria-selected': String(tab === chosen), onclick: () => (location.hash = detail.id + '/' + tab) }, names[tab]),
    ),
    chosen === 'html' ? el('span', { class: 'width' }, el('button', { type: 'button', onclick: width }, narrow ? 'Wide' : 'Phone width')) : undefined,
  )
}

async function view(tab) {
  const own = '/messages/' + detail.id
  if (tab === 'html')
    return el('iframe', { src: api + own + '/html', title: 'The mail', class: narrow && 'narrow', sandbox: 'allow-popups allow-popups-to-escape-sandbox', referrerpolicy: 'no-referrer' })
  if (tab === 'text') return el('pre', { class: 'text' }, detail.text)
  if (tab === 'source') return el('pre', {}, await (await ask(own + '/source')).text())
  if (tab === 'headers')
    return el('table', {}, el('tbody', {}, ...detail.headers.map(({ name, value }) => el('tr', {}, el('th', { scope: 'row' }, name), el('td', {}, value)))))
  if (tab === 'attachments')
    return el('ul', {}, ...detail.files.map((file, index) =>
      el('li', {}, el('a', { href: api + own + '/attachments/' + index, download: file.filename }, file.filename), ' ', el('small', {}, file.content_type + ' \\u00b7 ' + kb(file.size) + (file.inline ? ' \\u00b7 inline' : '')))))
  if (detail.links.length === 0) return el('p', { class: 'none' }, 'No links.')
  return el('ul', {}, ...detail.links.map((link) => el('li', {}, el('a', { href: link, target: '_blank', rel: 'noopener noreferrer' }, link))))
}

async function remove() {
  await ask('/messages/' + detail.id, { method: 'DELETE' }).catch(() => undefined)
  location.hash = ''
  await refresh()
}

async function offerTemplates() {
  const { items: known } = await data('/templates')
  if (known.length === 0) return
  const options = known.flatMap(({ name, locales }) => locales.map((locale) => el('option', { value: name + '/' + locale }, name + ' \\u00b7 ' + locale)))
  templates.replaceChildren(el('option', { value: '' }, 'Preview\\u2026'), ...options)
  templates.hidden = false
  templates.addEventListener('change', async () => {
    const [name, locale] = templates.value.split('/')
    templates.value = ''
    try {
      await ask('/templates/' + encodeURIComponent(name) + '/preview?locale=' + encodeURIComponent(locale), { method: 'POST' })
    } catch (error) {
      state.textContent = 'The template cannot be shown (' + error.message + ').'
    }
    await refresh()
    if (items.length > 0) location.hash = items[0].id
  })
}

addEventListener('hashchange', () => void open())
search.addEventListener('input', () => void refresh())
at('clear').addEventListener('click', async () => {
  if (!confirm('Delete all mails?')) return
  await ask('/messages', { method: 'DELETE' }).catch(() => undefined)
  location.hash = ''
  await refresh()
})
addEventListener('keydown', (event) => {
  if (event.target.closest('input, select, textarea') || !['j', 'k', '/'].includes(event.key)) return
  event.preventDefault()
  if (event.key === '/') return search.focus()
  const index = items.findIndex(({ id }) => id === place().id) + (event.key === 'j' ? 1 : -1)
  const next = items[Math.min(Math.max(index, 0), items.length - 1)]
  if (next) location.hash = next.id
})
async function live() {
  if (!document.hidden) await refresh()
  setTimeout(live, 1000)
}
void offerTemplates().catch(() => undefined)
void refresh().then(open).then(live)
`
