/** One range of `Accept-Language`, in lower case. */
interface Range {
  readonly tag: string
  readonly quality: number
}

const maxLength = 1000
const maxRanges = 32
const rangePattern = /^(?:\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)$/
const qualityPattern = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

/**
 * The one of `locales` that `Accept-Language` likes best (RFC 9110 section 12.5.4): quality values, `*` and
 * `q=0` are honoured; `en-US` accepts `en`, and `en` accepts `en-GB`. The first locale is the answer when
 * nothing fits. Anything may be sent: malformed ranges are skipped, and what is behind 1000 characters or 32
 * ranges is not read.
 */
export function negotiateLocale(header: string | undefined, locales: readonly string[]): string {
  const fallback = locales[0] ?? 'en'
  if (header === undefined || header === '') return fallback
  const ranges = readRanges(header)
  let best = fallback
  let bestQuality = 0
  let bestPlace = Number.POSITIVE_INFINITY
  for (const locale of locales) {
    const { quality, place } = rate(locale.toLowerCase(), ranges)
    if (quality > bestQuality || (quality === bestQuality && quality > 0 && place < bestPlace)) {
      best = locale
      bestQuality = quality
      bestPlace = place
    }
  }
  return best
}

function readRanges(header: string): Range[] {
  const ranges: Range[] = []
  const parts = header.slice(0, maxLength).toLowerCase().split(',', maxRanges)
  for (const part of parts) {
    const [tag = '', ...parameters] = part.split(';').map((piece) => piece.trim())
    if (!rangePattern.test(tag) || parameters.length > 1) continue
    const match = parameters.length === 0 ? undefined : qualityPattern.exec(parameters[0]!)
    if (match !== null) ranges.push({ tag, quality: match === undefined ? 1 : Number(match[1]) })
  }
  return ranges
}

/** How much `locale` is liked, and by which range. */
function rate(locale: string, ranges: readonly Range[]): { quality: number; place: number } {
  const primary = locale.split('-', 1)[0]!
  let named = -1
  let kin = -1
  let any = -1
  for (const [place, { tag, quality }] of ranges.entries()) {
    if (tag === '*') {
      if (any === -1) any = place
    } else if (tag === locale || locale.startsWith(`${tag}-`)) {
      if (named === -1 || tag.length > ranges[named]!.tag.length) named = place
    } else if (tag.split('-', 1)[0] === primary && quality > (kin === -1 ? 0 : ranges[kin]!.quality)) kin = place
  }
  // A range that names the locale may forbid it. A related one ("en-US" for "en") only recommends.
  if (named !== -1 && ranges[named]!.quality === 0) return { quality: 0, place: named }
  const place = kin === -1 || (named !== -1 && ranges[named]!.quality >= ranges[kin]!.quality) ? named : kin
  const chosen = place === -1 ? any : place
  return { quality: ranges[chosen]?.quality ?? 0, place: chosen }
}
