import { hash } from 'node:crypto'

/** Texts remembered per pool; beyond it all are forgotten and learnt again. */
const remembered = 8192

/**
 * Names statements by a hash of their text, so that each connection parses and plans a text once. A text is
 * named from its second use on: one-off statements of a query builder never take a slot.
 */
export class StatementNames {
  readonly #names = new Map<string, string | undefined>()

  of(text: string): string | undefined {
    const name = this.#names.get(text)
    if (name !== undefined) return name
    if (!this.#names.has(text)) {
      if (this.#names.size >= remembered) this.#names.clear()
      this.#names.set(text, undefined)
      return undefined
    }
    const made = `forge_${hash('sha256', text, 'base64url').slice(0, 22)}`
    this.#names.set(text, made)
    return made
  }
}
