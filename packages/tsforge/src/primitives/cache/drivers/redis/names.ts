/**
 * Names of keys: `e` entries, `t` tags, `l` locks. The tags of one prefix share a hash tag, so that in a cluster one script
 * can stamp all tags of an entry; entries are spread.
 */
export class Names {
  readonly entries: string
  readonly tags: string
  readonly #locks: string

  constructor(keyPrefix: string) {
    this.entries = `${keyPrefix}forge:cache:e:`
    this.tags = `${keyPrefix}forge:cache:t:`
    this.#locks = `${keyPrefix}forge:cache:l:`
  }

  entry(prefix: string, key: string): string {
    return this.entries + prefix + key
  }

  tag(prefix: string, tag: string): string {
    return `${this.tags}{${prefix}}${tag}`
  }

  lock(prefix: string, key: string): string {
    return this.#locks + prefix + key
  }

  /** The address of an entry's key, or of a tag's: what is behind `{prefix}`. */
  addressOf(name: string): { readonly kind: 'entry' | 'tag'; readonly address: string } | undefined {
    if (name.startsWith(this.entries)) return { kind: 'entry', address: name.slice(this.entries.length) }
    if (!name.startsWith(this.tags)) return undefined
    const rest = name.slice(this.tags.length)
    const end = rest.indexOf('}')
    return { kind: 'tag', address: rest.slice(1, end) + rest.slice(end + 1) }
  }

  /** A pattern for SCAN. */
  match(namespace: string | undefined): string {
    const literal = (text: string): string => text.replaceAll(/[*?[\]\\]/g, '\\$&')
    return `${literal(this.entries)}${namespace === undefined ? '' : `${literal(namespace)}:`}*`
  }
}
