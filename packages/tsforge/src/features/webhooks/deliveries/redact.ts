const mask = '[redacted]'

/** Headers of answers that name a session or a secret. */
const hidden =
  /^(?:set-cookie2?|cookie|authorization|proxy-.*|www-authenticate|authentication-info|x-.*(?:token|secret|key|auth).*)$/
/** What looks like a credential wherever it stands. */
const credentials =
  /\b(?:Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}|\bwh(?:sec|sk)_[A-Za-z0-9+/=]{16,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|-----BEGIN [A-Z ]*PRIVATE KEY-----/g

const mostHeaders = 50
const mostValue = 1024

/** Headers as they were sent: what signs them, and what the customer gave, is nobody's to read. */
export function requestHeadersOf(
  headers: Readonly<Record<string, string>>,
  secret: ReadonlySet<string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, secret.has(name) ? mask : value.slice(0, mostValue)]),
  )
}

export function responseHeadersOf(
  headers: Readonly<Record<string, string>>,
  plain: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .slice(0, mostHeaders)
      .map(([name, value]) => [
        text(name).slice(0, 128),
        hidden.test(name) ? mask : redacted(value.slice(0, mostValue), plain),
      ]),
  )
}

/** An answer as text: secrets that it echoes are taken out. */
export function bodyOf(body: Buffer, plain: readonly string[]): string {
  return redacted(body.toString('utf8'), plain)
}

/** Without the values of the query, where endpoints like to keep their tokens. */
export function urlOf(url: string): string {
  const { origin, pathname, searchParams } = new URL(url)
  const names = [...new Set(searchParams.keys())].slice(0, 20)
  return (
    origin + pathname + (names.length === 0 ? '' : `?${names.map((name) => `${encodeURIComponent(name)}=…`).join('&')}`)
  )
}

function redacted(value: string, plain: readonly string[]): string {
  let clean = text(value)
  for (const each of plain) if (each.length >= 6) clean = clean.replaceAll(each, mask)
  return clean.replace(credentials, mask)
}

/** PostgreSQL takes neither NUL nor half a character. */
function text(value: string): string {
  return value.replaceAll('\0', '\u{FFFD}').toWellFormed()
}
