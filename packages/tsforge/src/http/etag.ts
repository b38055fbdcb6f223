import { hash } from 'node:crypto'

/** A strong entity tag over `text`: 132 bits of SHA-256. Made of the data alone, so that it repeats when the data does. */
export function strongTag(text: string): string {
  return `"${hash('sha256', text, 'base64url').slice(0, 22)}"`
}

/** Whether If-None-Match names `tag` (RFC 9110 section 13.1.2: weak comparison, a list, or `*`). */
export function noneMatches(header: string, tag: string): boolean {
  if (header === tag) return true
  if (header.length > 4096) return false
  if (header.trim() === '*') return true
  const opaque = tag.startsWith('W/') ? tag.slice(2) : tag
  for (const match of header.matchAll(/"[^"]*"/g)) if (match[0] === opaque) return true
  return false
}
