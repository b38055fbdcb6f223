import type { Readable } from 'node:stream'
import type { RenderedAnswer } from './feature.ts'
import type { LiveSource } from './live.ts'
import type { HeaderList } from './security-headers.ts'

/** One answer on its way out. Its headers are a copy of the route's precomputed list, changed only where it has its own. */
export class Outgoing {
  readonly list: string[]
  status: number
  body: string | Buffer | undefined = undefined
  /** In place of `body`: sent as it comes. */
  stream: Readable | undefined = undefined
  /** In place of `body`: goes on until somebody ends it. */
  live: LiveSource | undefined = undefined

  constructor(base: HeaderList, status: number) {
    this.list = base.slice()
    this.status = status
  }

  /** Own headers win over the precomputed ones; Vary is added to, never replaced. */
  merge(own: Readonly<Record<string, string | number | readonly string[]>>): void {
    for (const [rawName, value] of Object.entries(own)) {
      if (value === undefined) continue
      const name = rawName.toLowerCase()
      if (Array.isArray(value)) for (const entry of value as readonly string[]) this.list.push(name, entry)
      else this.set(name, String(value))
    }
  }

  set(name: string, value: string): void {
    const { list } = this
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] !== name) continue
      list[at + 1] = name === 'vary' ? `${list[at + 1]!}, ${value}` : value
      return
    }
    list.push(name, value)
  }

  /** Lets go of what will not be sent. */
  discard(): void {
    this.stream?.destroy()
    this.live?.cancel()
  }

  /** Without a content type: for 204 and 304. */
  withoutContent(): this {
    const at = this.list.indexOf('content-type')
    if (at !== -1) this.list.splice(at, 2)
    return this
  }
}

/** `out` as something to keep: without the headers that all answers made from `base` have. */
export function keep(out: Outgoing, base: HeaderList): RenderedAnswer {
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
export function unpack({ status, headers, body }: RenderedAnswer, base: HeaderList): Outgoing {
  const standing = standingHeaders(base, body)
  const out = new Outgoing(standing, status)
  out.body = body
  for (let at = 0; at < headers.length; at += 2) {
    const place = standing.indexOf(headers[at]!)
    if (place === -1) out.list.push(headers[at]!, headers[at + 1]!)
    else out.list[place + 1] = headers[at + 1]!
  }
  return out
}

function standingHeaders(base: HeaderList, body: unknown): HeaderList {
  return body === undefined ? new Outgoing(base, 0).withoutContent().list : base
}
