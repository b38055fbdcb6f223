/** Elements that begin and end a line of their own, with the empty lines around them. */
const blocks: Readonly<Record<string, number>> = {
  p: 1,
  h1: 1,
  h2: 1,
  h3: 1,
  h4: 1,
  h5: 1,
  h6: 1,
  ul: 1,
  ol: 1,
  blockquote: 1,
  pre: 1,
  table: 1,
  hr: 1,
  div: 0,
  section: 0,
  article: 0,
  header: 0,
  footer: 0,
  main: 0,
  center: 0,
  tr: 0,
  li: 0,
  dt: 0,
  dd: 0,
}
const silent = new Set(['head', 'style', 'script', 'title', 'template', 'noscript', 'svg'])
const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  bull: '•',
  middot: '·',
  euro: '€',
  zwnj: '',
  shy: '',
}
/**
 * The text part of an HTML mail: paragraphs, lists, links with their address, images by their description. Not a
 * browser: what it does not know is text.
 */
export function htmlToText(source: string): string {
  const out = new Lines()
  const lists: { ordered: boolean; count: number }[] = []
  const links: { href: string; shown: string }[] = []
  let skipped: string | undefined
  const say = (text: string): void => {
    out.text(text)
    const link = links.at(-1)
    // Only to be compared with the address.
    if (link !== undefined && link.shown.length < 2000) link.shown += text.slice(0, 2000)
  }
  for (const { text, name, closing, attributes } of tokens(source)) {
    if (skipped !== undefined) {
      if (name === skipped && closing) skipped = undefined
      continue
    }
    if (name === undefined) {
      say(decode(text))
      continue
    }
    if (silent.has(name)) {
      if (!closing && !attributes.endsWith('/')) skipped = name
      continue
    }
    if (name === 'br') out.breakLine()
    else if (name === 'img') say(attributeOf(attributes, 'alt'))
    else if (name === 'a') {
      if (!closing) links.push({ href: attributeOf(attributes, 'href'), shown: '' })
      else closeLink(out, links.pop())
    } else if (name === 'td' || name === 'th') {
      if (closing) out.text(' ')
    } else if (Object.hasOwn(blocks, name)) {
      out.block(blocks[name]!)
      if (name === 'hr') out.text('----------')
      if (name === 'pre') out.keepSpaces(!closing)
      if (name === 'blockquote') out.indent(closing ? -1 : 1, '> ')
      if (name === 'ul' || name === 'ol') {
        if (closing) lists.pop()
        else lists.push({ ordered: name === 'ol', count: 0 })
        // Lists within lists stand further right.
        if (lists.length > (closing ? 0 : 1)) out.indent(closing ? -1 : 1, '  ')
      }
      if (name === 'li' && !closing) {
        const list = lists.at(-1)
        if (list !== undefined) list.count++
        out.text(list?.ordered === true ? `${list.count}. ` : '- ')
      }
      if (name === 'hr') out.block(1)
    }
  }
  return out.finish()
}

interface Token {
  readonly text: string
  /** Of the element, in lower case; undefined for text. */
  readonly name: string | undefined
  readonly closing: boolean
  readonly attributes: string
}

const tagStart = /<(\/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})/y
const unquoted = /[^"'<>]*/y
/** Attributes of one tag; what has more is text. So hostile input costs no more than its length, times a constant. */
const mostSteps = 200

function* tokens(source: string): Generator<Token> {
  let at = 0
  while (at < source.length) {
    const open = source.indexOf('<', at)
    if (open !== at) yield textOf(source.slice(at, open === -1 ? source.length : open))
    if (open === -1) return
    at = open
    if (source.startsWith('<!', open)) {
      const end = source.startsWith('<!--', open) ? source.indexOf('-->', open + 4) + 2 : source.indexOf('>', open)
      if (end < open) return
      at = end + 1
      continue
    }
    tagStart.lastIndex = open
    const start = tagStart.exec(source)
    const end = start === null ? undefined : endOfTag(source, tagStart.lastIndex)
    if (start === null || end === undefined) {
      yield textOf('<')
      at = open + 1
      continue
    }
    const attributes = source.slice(open + start[0].length, end)
    yield { text: '', name: start[2]!.toLowerCase(), closing: start[1] === '/', attributes }
    at = end + 1
  }
}

function textOf(text: string): Token {
  return { text, name: undefined, closing: false, attributes: '' }
}

/** Where the `>` stands that is in no quotes. */
function endOfTag(source: string, from: number): number | undefined {
  let at = from
  for (let step = 0; step < mostSteps; step++) {
    unquoted.lastIndex = at
    unquoted.exec(source)
    at = unquoted.lastIndex
    const mark = source[at]
    if (mark === '>') return at
    if (mark !== '"' && mark !== "'") return undefined
    const closed = source.indexOf(mark, at + 1)
    if (closed === -1) return undefined
    at = closed + 1
  }
  return undefined
}

function closeLink(out: Lines, link: { readonly href: string; readonly shown: string } | undefined): void {
  if (link === undefined || !/^(?:https?|mailto|tel):/i.test(link.href)) return
  const shown = link.shown.trim()
  const bare = link.href.replace(/^(?:mailto|tel):/i, '')
  if (shown === '') out.text(link.href)
  else if (shown !== link.href && shown !== bare) out.text(` (${bare})`)
}

function attributeOf(attributes: string, name: string): string {
  const match = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(attributes)
  return decode(match?.[1] ?? match?.[2] ?? match?.[3] ?? '').trim()
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities[String(name).toLowerCase()] ?? whole
    const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal)
    const sound = code >= 32 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) && code !== 127
    return sound ? String.fromCodePoint(code) : ' '
  })
}

/** Deeper lists and quotations stand no further right. */
const mostIndents = 8

/** Lines that grow: white space is one space, blocks are parted by empty lines. Ropes are never read, so that each piece costs its length. */
class Lines {
  #done = ''
  #pieces: string[] = []
  /** What is written on the line so far ends with a space, or is nothing. */
  #spaced = true
  #indents: string[] = []
  #deeper = 0
  #gap = 0
  #started = false
  #pre = false

  text(value: string): void {
    if (this.#pre) {
      const [first = '', ...rest] = value.split(/\r?\n/)
      this.#add(first)
      for (const each of rest) {
        this.#flush()
        this.#add(each)
      }
      return
    }
    const plain = value.replace(/(?:[ \t\r\n\f\u00a0\u00ad\u200b\u200c\ufeff]|\u034f|\u200d)+/g, ' ')
    this.#add(this.#spaced ? plain.trimStart() : plain)
  }

  #add(piece: string): void {
    if (piece === '') return
    this.#pieces.push(piece)
    this.#spaced = piece.endsWith(' ')
  }

  breakLine(): void {
    this.#flush(true)
  }

  block(gap: number): void {
    this.#flush()
    this.#gap = Math.max(this.#gap, gap)
  }

  keepSpaces(pre: boolean): void {
    this.#pre = pre
  }

  indent(by: 1 | -1, text: string): void {
    if (by === 1 && this.#indents.length === mostIndents) this.#deeper++
    else if (by === 1) this.#indents.push(text)
    else if (this.#deeper > 0) this.#deeper--
    else this.#indents.pop()
  }

  #flush(always = false): void {
    const written = this.#pieces.join('')
    this.#pieces = []
    this.#spaced = true
    const line = this.#pre ? written.trimEnd() : written.trim()
    if (line === '' && (!this.#started || !(always || this.#pre))) return
    const gap = this.#started ? '\n'.repeat(this.#gap) : ''
    this.#gap = 0
    this.#started = true
    this.#done += `${gap}${line === '' ? '' : this.#indents.join('')}${line}\n`
  }

  finish(): string {
    this.#flush()
    return this.#done.replace(/\n{3,}/g, '\n\n').trim()
  }
}
