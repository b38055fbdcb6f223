import { preconditionErrors } from '../kernel/precondition.ts'
import type { Expected } from '../kernel/precondition.ts'

export { preconditionErrors }
export type { Expected, PreconditionErrorCode } from '../kernel/precondition.ts'

/** An entity tag (RFC 9110 section 8.8.3), its quotes removed. */
export interface EntityTag {
  readonly weak: boolean
  readonly value: string
}

/** What If-Match expects of a row; `version` absent means any. For `repository.update(id, patch, …)` and its like. */
export interface ExpectedVersion extends Expected {
  readonly version?: readonly number[]
  readonly precondition: true
}

/** The strong entity tag of a row's version. */
export function versionTag(version: number): string {
  return `"v${version}"`
}

const longest = 8192
const element = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(,|$)/y

/**
 * Parses If-Match or If-None-Match (RFC 9110 sections 13.1.1 and 13.1.2): `*`, or a list in which empty elements
 * are allowed. Throws `precondition.malformed`. Linear time.
 */
export function parseEntityTags(header: string, name: 'If-Match' | 'If-None-Match'): '*' | EntityTag[] {
  if (header.trim() === '*') return '*'
  const tags: EntityTag[] = []
  const malformed = (): Error => preconditionErrors.error('precondition.malformed', { meta: { header: name } })
  if (header.length > longest) throw malformed()
  for (let at = 0; ; at = element.lastIndex) {
    element.lastIndex = at
    const found = element.exec(header)
    if (found === null) throw malformed()
    const [, weak, value, end] = found
    if (value !== undefined) tags.push({ weak: weak !== undefined, value })
    if (end === '') break
  }
  if (tags.length === 0) throw malformed()
  return tags
}

/**
 * The versions that If-Match allows, for a write that checks them in its WHERE clause; without the header any, or
 * 428 where it is required. Comparison is strong: weak tags, and tags that no version has, match nothing.
 */
export function expectedVersion(mode: 'required' | 'optional', ifMatch: string | undefined): ExpectedVersion {
  if (ifMatch === undefined && mode === 'required') throw preconditionErrors.error('precondition.required')
  const tags = ifMatch === undefined ? '*' : parseEntityTags(ifMatch, 'If-Match')
  return tags === '*' ? { precondition: true } : { precondition: true, version: tags.flatMap(versionOf) }
}

/** For those who have the row at hand: throws 412 unless If-Match (when sent) names its version. `undefined`: there is no row. */
export function checkMatch(ifMatch: string | undefined, current: number | undefined): void {
  if (ifMatch === undefined) return
  const tags = parseEntityTags(ifMatch, 'If-Match')
  const matches = current !== undefined && (tags === '*' || tags.flatMap(versionOf).includes(current))
  if (!matches) throw preconditionErrors.error('precondition.failed')
}

/** For writes: throws 412 when If-None-Match (when sent) names the row's version; `*` means "only if there is none". */
export function checkNoneMatch(ifNoneMatch: string | undefined, current: number | undefined): void {
  if (ifNoneMatch === undefined) return
  const tags = parseEntityTags(ifNoneMatch, 'If-None-Match')
  if (current === undefined) return
  // Weak comparison (section 8.8.3.2): the mark does not matter.
  const matches = tags === '*' || tags.some(({ value }) => value === `v${current}`)
  if (matches) throw preconditionErrors.error('precondition.failed')
}

function versionOf({ weak, value }: EntityTag): number[] {
  const version = weak ? undefined : /^v([1-9]\d{0,9})$/.exec(value)?.[1]
  return version === undefined ? [] : [Number(version)]
}
