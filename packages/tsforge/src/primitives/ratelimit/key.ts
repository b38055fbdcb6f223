import { createHash } from 'node:crypto'

const maxLength = 128

/** A key as stores hold it: a long one (callers choose some of them) by its digest, which is as distinct. */
export function storedKey(key: string): string {
  return key.length <= maxLength ? key : `sha256:${createHash('sha256').update(key).digest('base64url')}`
}
