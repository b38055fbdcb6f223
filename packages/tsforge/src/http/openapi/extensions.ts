import { isDeepStrictEqual } from 'node:util'
import type { ExtensionDocs } from '../feature.ts'
import { idempotencyOf } from '../route.ts'
import type { Route } from '../route.ts'
import type { HttpSettings } from '../site.ts'

/** What gates and the around say about routes; their headers are written once. */
export class Extensions {
  readonly headers: Record<string, object> = {}
  readonly #settings: HttpSettings

  constructor(settings: HttpSettings) {
    this.#settings = settings
  }

  of(route: Route): Required<ExtensionDocs> {
    const { gates = [], around } = this.#settings
    const all = [...gates, ...(around === undefined ? [] : [around])].map((spec) => spec.describe?.(route))
    const mode = around === undefined ? 'refused' : idempotencyOf(route)
    const takesKey = mode === 'optional' || mode === 'required'
    const key = `#/components/parameters/IdempotencyKey${mode === 'required' ? 'Required' : ''}`
    const headers = all.flatMap((docs) => Object.entries(docs?.headers ?? {}))
    return {
      errors: all.flatMap((docs) => docs?.errors ?? []),
      parameters: [...(takesKey ? [{ $ref: key }] : []), ...all.flatMap((docs) => docs?.parameters ?? [])],
      headers: Object.fromEntries(headers.map(([name, header]) => [name, this.#header(name, header)])),
    }
  }

  #header(name: string, header: object): Readonly<Record<string, unknown>> {
    const key = name.replaceAll('-', '')
    this.headers[key] ??= header
    const shared = isDeepStrictEqual(this.headers[key], header)
    return shared ? { $ref: `#/components/headers/${key}` } : (header as Readonly<Record<string, unknown>>)
  }
}
