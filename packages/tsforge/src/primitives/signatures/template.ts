import { signaturesErrors } from './errors.ts'

type Placeholder = 'id' | 'timestamp' | 'body'

/** What is signed, taken apart once. */
export interface Template {
  readonly uses: ReadonlySet<Placeholder>
  /** What stands before and behind the body. */
  head(id: string, timestamp: string): string
  tail(id: string, timestamp: string): string
  /** Whether the id leaves no doubt where it ends. */
  separates(id: string): boolean
}

const broken = (reason: string): Error => signaturesErrors.error('signatures.scheme_invalid', { meta: { reason } })

/**
 * `{id}`, `{timestamp}` and `{body}` once each at most, the body always. An id is followed by a text that does not occur in it:
 * otherwise bytes could move from one to the other under the same signature. A timestamp has always ten digits.
 */
export function parseTemplate(text: string): Template {
  const pieces = text.split(/(\{(?:id|timestamp|body)\})/)
  const names = pieces.filter((_, at) => at % 2 === 1).map((piece) => piece.slice(1, -1) as Placeholder)
  const uses = new Set(names)
  if (uses.size !== names.length) throw broken('a placeholder occurs twice')
  if (!uses.has('body')) throw broken('{body} is missing')
  const behindId = uses.has('id') ? pieces[pieces.indexOf('{id}') + 1]! : undefined
  if (behindId === '' && !text.endsWith('{id}')) throw broken('a separator must follow {id}')
  if (text.endsWith('{id}') && pieces[pieces.indexOf('{id}') - 1] === '') throw broken('a separator must precede {id}')
  const at = pieces.indexOf('{body}')
  return {
    uses,
    head: filler(pieces.slice(0, at)),
    tail: filler(pieces.slice(at + 1)),
    separates: (id) => behindId === undefined || behindId === '' || !id.includes(behindId),
  }
}

function filler(pieces: readonly string[]): Template['head'] {
  if (pieces.every((piece) => piece === '')) return () => ''
  return (id, timestamp) => {
    let text = ''
    for (const piece of pieces) text += piece === '{id}' ? id : piece === '{timestamp}' ? timestamp : piece
    return text
  }
}
