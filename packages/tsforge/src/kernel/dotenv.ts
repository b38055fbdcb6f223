/** What a `.env` file says. */
export interface Dotenv {
  readonly values: Readonly<Record<string, string>>
  /** Lines that could not be read: number and reason, never their text. */
  readonly faults: readonly { readonly line: number; readonly problem: string }[]
}

const assignment = /^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*/
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$' }

/**
 * Reads a `.env` text: `KEY=value`, `export KEY=value`, `# comments`, `'literal'` and `"with \n escapes"`, the
 * quoted ones over several lines. Nothing is expanded: `$` is a dollar sign. A doubtful line is a fault, not
 * a guess.
 */
export function parseDotenv(text: string): Dotenv {
  const values = Object.create(null) as Record<string, string>
  const faults: { line: number; problem: string }[] = []
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!.trim()
    if (line === '' || line.startsWith('#')) continue
    const fault = (problem: string): void => void faults.push({ line: start + 1, problem })
    const start = at
    const match = assignment.exec(line)
    if (match === null) {
      fault('is not KEY=value')
      continue
    }
    const key = match[1]!
    const rest = line.slice(match[0].length)
    if (key in values) fault(`sets ${key} a second time`)
    const quote = rest[0]
    if (quote !== '"' && quote !== "'") {
      values[key] = rest.startsWith('#') ? '' : rest.replace(/[ \t]#.*$/, '').trimEnd()
      continue
    }
    // The first line is trimmed on its left only; what stands inside of quotes is kept.
    const body = [lines[at]!.trimStart().slice(match[0].length + 1)]
    let end = closing(body[0]!, quote)
    while (end === -1 && at + 1 < lines.length) {
      body.push(lines[++at]!)
      end = closing(body.at(-1)!, quote)
    }
    if (end === -1) {
      fault(`opens a ${quote} for ${key} that is never closed`)
      // Only this line is lost; the ones behind it are read as usual.
      at = start
      continue
    }
    const tail = body
      .at(-1)!
      .slice(end + 1)
      .trim()
    if (tail !== '' && !tail.startsWith('#')) fault(`has text behind the closing ${quote} of ${key}`)
    body[body.length - 1] = body.at(-1)!.slice(0, end)
    const raw = body.join('\n')
    values[key] = quote === '"' ? raw.replace(/\\([nrt"\\$])/g, (_, char: string) => escapes[char]!) : raw
  }
  return { values, faults }
}

/** Where `quote` closes in `line`, skipping escaped ones inside of double quotes; -1 when it does not. */
function closing(line: string, quote: string): number {
  for (let i = 0; i < line.length; i++) {
    if (line[i] === quote) return i
    if (quote === '"' && line[i] === '\\') i++
  }
  return -1
}

/** `value` as `parseDotenv` reads it back. */
export function formatDotenvValue(value: string): string {
  if (/^[\w./:@%+,=?&~!*()[\]-]*$/.test(value)) return value
  return `"${value
    .replace(/["\\$]/g, '\\$&')
    .replace(/\n/g, '\\n')
    .replace(/\r/g, '\\r')
    .replace(/\t/g, '\\t')}"`
}
