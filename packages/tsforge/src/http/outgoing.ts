import type { Readable } from 'node:stream'
import type { RenderedAnswer } from './feature.ts'
import type { LiveSource } from './live.ts'
import type { Head } from './head.ts'
import type { HeaderList } from './security-headers.ts'

/** One answer on its way out: the standing headers of its route, changed only where it has its own, and those added to them. */
export class Outgoing {
  /** Names that are not among the standing ones, with values that need no check. */
  readonly added: string[] = []
  readonly #base: Head
  #own: string[] | undefined = undefined
  status: number
  body: string | Buffer | undefined = undefined
  /** In place of `body`: sent as it comes. */
  stream: Readable | undefined = undefined
  /** In place of `body`: goes on until somebody ends it. */
  live: LiveSource | undefined = undefined

  constructor(base: Head, status: number) {
    this.#base = base
    this.status = status
  }

  /** The text of its standing headers; `undefined` when they are changed. */
  get standing(): string | undefined {
    return this.#own === undefined ? this.#base.text : undefined
  }

  /** All headers. */
  get list(): HeaderList {
    const { added } = this
    const list = this.#own ?? this.#base.list
    return added.length === 0 ? list : [...list, ...added]
  }

  /** Own headers win over the precomputed ones; Vary is added to, never replaced. */
  merge(own: Readonly<Record<string, string | number | readonly string[]>>): void {
    for (const [rawName, value] of Object.entries(own)) {
      if (value === undefined) continue
      const name = rawName.toLowerCase()
      if (Array.isArray(value)) for (const entry of value as readonly string[]) this.change().push(name, entry)
      else this.set(name, String(value))
    }
  }

  set(name: string, value: string): void {
    if (place(this.added, name, value)) return
    const list = this.change()
    if (!place(list, name, value)) list.push(name, value)
  }

  /** As `set`, for a value that needs no check. */
  add(name: string, value: string): void {
    if ((this.#own ?? this.#base.list).includes(name)) this.set(name, value)
    else if (!place(this.added, name, value)) this.added.push(name, value)
  }

  /** Lets go of what will not be sent. */
  discard(): void {
    this.stream?.destroy()
    this.live?.cancel()
  }

  /** Without a content type: for 204 and 304. */
  withoutContent(): this {
    const list = this.change()
    const at = list.indexOf('content-type')
    if (at !== -1) list.splice(at, 2)
    return this
  }

  /** Its headers without the added ones, to be changed. */
  change(): string[] {
    return (this.#own ??= this.#base.list.slice())
  }
}

/** Puts `value` in the place of the one that is there; `false` when there is none. */
function place(list: string[], name: string, value: string): boolean {
  for (let at = 0; at < list.length; at += 2) {
    if (list[at] !== name) continue
    list[at + 1] = name === 'vary' ? `${list[at + 1]!}, ${value}` : value
    return true
  }
  return false
}

/** `out` as something to keep: without the headers that all answers made from `base` have. */
export function keep(out: Outgoing, base: Head): RenderedAnswer {
  const { list, status, body } = out
  const standing = standingHeaders(base, body)
  const headers: string[] = []
  // Own headers stand where the standing ones stood, or behind them.
  for (let at = 0; at < list.length; at += 2) {
    if (list[at] !== standing[at] || list[at + 1] !== standing[at + 1]) headers.push(list[at]!, list[at + 1]!)
  }
  return { status, headers, body }
}

/** The way back: today's standing headers and what was kept. */
export function unpack({ status, headers, body }: RenderedAnswer, base: Head): Outgoing {
  const standing = standingHeaders(base, body)
  const out = new Outgoing(base, status)
  out.body = body
  if (body === undefined) out.withoutContent()
  const list = out.change()
  for (let at = 0; at < headers.length; at += 2) {
    const place = standing.indexOf(headers[at]!)
    if (place === -1) list.push(headers[at]!, headers[at + 1]!)
    else list[place + 1] = headers[at + 1]!
  }
  return out
}

function standingHeaders(base: Head, body: unknown): HeaderList {
  return body === undefined ? base.bare : base.list
}
