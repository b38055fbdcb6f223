/** How many bytes from the beginning tell the type. */
export const sniffedBytes = 4100

interface Magic {
  readonly at?: number
  readonly bytes: string
  readonly type: string
}

/** First match wins. From the format's own specifications, as the WHATWG's MIME Sniffing Standard lists them. */
const magics: readonly Magic[] = [
  { bytes: '\x89PNG\r\n\x1a\n', type: 'image/png' },
  { bytes: '\xff\xd8\xff', type: 'image/jpeg' },
  { bytes: 'GIF87a', type: 'image/gif' },
  { bytes: 'GIF89a', type: 'image/gif' },
  { bytes: 'BM', type: 'image/bmp' },
  { bytes: 'II*\0', type: 'image/tiff' },
  { bytes: 'MM\0*', type: 'image/tiff' },
  { bytes: '\0\0\x01\0', type: 'image/x-icon' },
  { at: 8, bytes: 'WEBP', type: 'image/webp' },
  { at: 8, bytes: 'WAVE', type: 'audio/wav' },
  { at: 8, bytes: 'AVI ', type: 'video/x-msvideo' },
  { at: 4, bytes: 'ftypavif', type: 'image/avif' },
  { at: 4, bytes: 'ftypavis', type: 'image/avif' },
  { at: 4, bytes: 'ftyphei', type: 'image/heic' },
  { at: 4, bytes: 'ftypmif1', type: 'image/heic' },
  { at: 4, bytes: 'ftypM4A', type: 'audio/mp4' },
  { at: 4, bytes: 'ftypqt', type: 'video/quicktime' },
  { at: 4, bytes: 'ftyp', type: 'video/mp4' },
  { bytes: '\x1aE\xdf\xa3', type: 'video/webm' },
  { bytes: 'OggS', type: 'audio/ogg' },
  { bytes: 'fLaC', type: 'audio/flac' },
  { bytes: 'ID3', type: 'audio/mpeg' },
  { bytes: '\xff\xfb', type: 'audio/mpeg' },
  { bytes: '\xff\xf3', type: 'audio/mpeg' },
  { bytes: '%PDF-', type: 'application/pdf' },
  { bytes: 'PK\x03\x04', type: 'application/zip' },
  { bytes: 'PK\x05\x06', type: 'application/zip' },
  { bytes: '\x1f\x8b', type: 'application/gzip' },
  { bytes: '7z\xbc\xaf\x27\x1c', type: 'application/x-7z-compressed' },
  { bytes: 'Rar!\x1a\x07', type: 'application/vnd.rar' },
  { bytes: '\xd0\xcf\x11\xe0', type: 'application/x-ole-storage' },
  { bytes: 'MZ', type: 'application/vnd.microsoft.portable-executable' },
  { bytes: '\x7fELF', type: 'application/x-executable' },
]

/** The type that the first bytes of a file show; `text/plain` for text, `application/octet-stream` for what is unknown. */
export function sniff(head: Buffer): string {
  const text = head.toString('latin1')
  const magic = magics.find(({ at = 0, bytes }) => text.startsWith(bytes, at))
  if (magic !== undefined) return magic.type
  const start = text.replace(/^(?:\xef\xbb\xbf)?[\s\0]*/, '').toLowerCase()
  if (/^(?:<\?xml[^>]*\?>\s*)?(?:<!--[\s\S]*?-->\s*|<!doctype[^>[]*(?:\[[^\]]*\])?>\s*)*<svg[\s>]/.test(start))
    return 'image/svg+xml'
  // A browser looks for more than a document type when it guesses.
  if (/^<(?:!doctype html|html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p|!--)[\s>]?/.test(start))
    return 'text/html'
  if (start.startsWith('<?xml')) return 'text/xml'
  if (start.startsWith('#!')) return 'text/x-script'
  return isText(head) ? 'text/plain' : 'application/octet-stream'
}

function isText(head: Buffer): boolean {
  // oxlint-disable-next-line no-control-regex
  if (/[\x00-\x08\x0e-\x1a\x1c-\x1f]/.test(head.toString('latin1'))) return false
  // The last character may be cut in two.
  const text = head.toString('utf8').replace(/\ufffd+$/, '')
  return !text.includes('\ufffd')
}

/** What files of other types look like from outside. */
const containers: readonly (readonly [RegExp, readonly string[]])[] = [
  [
    /^application\/vnd\.(?:openxmlformats-officedocument|oasis\.opendocument)\.|^application\/(?:epub\+zip|java-archive|x-zip-compressed)$/,
    ['application/zip'],
  ],
  [/^application\/(?:msword|vnd\.ms-(?:excel|powerpoint))$/, ['application/x-ole-storage']],
  [/^(?:audio|video)\/(?:mp4|x-m4a|x-m4v)$/, ['video/mp4', 'audio/mp4']],
  [/^(?:audio|video)\/(?:webm|x-matroska)$/, ['video/webm']],
  [/^(?:audio|video)\/ogg$/, ['audio/ogg']],
  [/^image\/hei[cf]$/, ['image/heic']],
  [/^image\/(?:vnd\.microsoft\.icon|x-icon)$/, ['image/x-icon']],
  [/^image\/jpg$/, ['image/jpeg']],
  [/^application\/(?:gzip|x-gzip)$/, ['application/gzip']],
  [/^audio\/(?:x-)?wav$/, ['audio/wav']],
  // A dialect of text may look like plain text. None of these is run by a browser.
  [
    /^(?:text\/(?:plain|csv|markdown|tab-separated-values|calendar|vcard)|application\/(?:json|x-ndjson|yaml))$/,
    ['text/plain'],
  ],
  [/^(?:text|application)\/xml$/, ['text/xml', 'image/svg+xml']],
]
const known = new Set(magics.map(({ type }) => type))
/** What runs where it is opened; nothing else may turn out to be one of these. */
const active = new Set([
  'text/html',
  'image/svg+xml',
  'text/xml',
  'text/x-script',
  'application/vnd.microsoft.portable-executable',
  'application/x-executable',
])

/** Whether content that looks like `sniffed` may go by the name `declared`. */
export function fits(declared: string, sniffed: string): boolean {
  const name = declared.split(';')[0]!.trim().toLowerCase()
  if (name === sniffed) return true
  const looks = containers.find(([names]) => names.test(name))?.[1]
  if (looks !== undefined) return looks.includes(sniffed)
  // A type whose marks are known has to show them; of others nobody knows how they look, but not like a program.
  return !known.has(name) && !active.has(sniffed) && !active.has(name)
}
