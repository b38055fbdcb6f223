import type { ObjectHeaders } from './driver.ts'
import { storageErrors } from './errors.ts'
import type { DescribedObject, Disposition } from './storage.ts'

const token = '[a-zA-Z0-9!#$&^_.+-]{1,100}'
const mediaType = new RegExp(
  `^${token}/${token}(?:; ?${token}=(?:${token}|"[\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]{0,100}"))*$`,
)
const kindOfType = new RegExp(`^${token}/$`)
const metadataName = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/
const printable = /^[\x20-\x7e]*$/
const maxMetadataBytes = 2048
/** Our own; see the drivers. */
const reserved = 'forge-'

function refuse(option: string, reason: string): never {
  throw storageErrors.error('storage.option_invalid', { meta: { option, reason } })
}

/** Checked headers of an object: what is stored goes out as headers one day, so nothing may end a line. */
export function describeObject({
  contentType,
  disposition,
  cacheControl,
  metadata = {},
}: DescribedObject): ObjectHeaders {
  if (cacheControl !== undefined && (!printable.test(cacheControl) || cacheControl.length > 200))
    refuse('cacheControl', 'is no header value')
  return {
    contentType: contentType === undefined ? 'application/octet-stream' : checkType(contentType),
    ...(disposition !== undefined && { contentDisposition: dispositionText(disposition) }),
    ...(cacheControl !== undefined && { cacheControl }),
    metadata: checkMetadata(metadata),
  }
}

export function describes(options: DescribedObject): boolean {
  const { contentType, disposition, cacheControl, metadata } = options
  return [contentType, disposition, cacheControl, metadata].some((value) => value !== undefined)
}

export function checkType(contentType: string): string {
  if (typeof contentType !== 'string' || !mediaType.test(contentType)) refuse('contentType', 'is no media type')
  return contentType
}

/** A media type, or a kind of them: `image/`. */
export function checkTypeOrKind(contentType: string): string {
  return kindOfType.test(contentType) ? contentType : checkType(contentType)
}

/** Whether `actual` is `allowed`, or of the kind `allowed`. Types are compared without regard to case. */
export function typeAllowed(allowed: string, actual: string): boolean {
  const [wanted, given] = [allowed.toLowerCase(), actual.toLowerCase()]
  return wanted.endsWith('/') ? given.startsWith(wanted) && mediaType.test(actual) : given === wanted
}

function checkMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  let bytes = 0
  for (const [name, value] of Object.entries(metadata)) {
    if (!metadataName.test(name) || name.startsWith(reserved)) refuse('metadata', 'a name is not valid')
    if (typeof value !== 'string' || !printable.test(value) || value !== value.trim())
      refuse('metadata', 'a value is not printable ASCII')
    bytes += name.length + value.length
  }
  if (bytes > maxMetadataBytes) refuse('metadata', `is longer than ${maxMetadataBytes} bytes`)
  return { ...metadata }
}

/** RFC 6266: an ASCII name for old readers, and the true one as UTF-8 (RFC 8187) beside it. */
export function dispositionText({ type, filename }: Disposition): string {
  if (type !== 'attachment' && type !== 'inline') refuse('disposition', 'is neither "attachment" nor "inline"')
  if (filename === undefined) return type
  // Names are shown and saved, so no paths, no controls and nothing that turns text around.
  const name = filename
    .toWellFormed()
    .normalize('NFC')
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff/\\]/g, '_')
    .slice(0, 200)
    .toWellFormed()
  const ascii = name.replaceAll(/[^\x20-\x7e]|["%]/g, '_')
  if (ascii === name) return `${type}; filename="${name}"`
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `${type}; filename="${ascii}"; filename*=UTF-8''${encoded}`
}
