import type { HeaderList } from './security-headers.ts'

/** The headers of one answer: a copy of the route's precomputed list, changed only when a handler adds its own. */
export class HeaderBlock {
  list: string[]

  constructor(base: HeaderList) {
    this.list = base.slice()
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

  /** Without a content type: for 204 and 304. */
  withoutContent(): this {
    const at = this.list.indexOf('content-type')
    if (at !== -1) this.list.splice(at, 2)
    return this
  }
}
