import { mailerErrors } from './errors.ts'

/** HTML that `html` made: what people wrote is escaped in it. */
export class Html {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  toString(): string {
    return this.#text
  }
}

export type HtmlValue = string | number | bigint | Html | null | undefined | false | readonly HtmlValue[]

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => escapes[character]!)
}

const linkAttribute = /\s(?:href|src|action|background|poster|cite)\s*=\s*(["'])\s*$/i
const safeLink = /^(?:https?:\/\/|mailto:|tel:|cid:)/i
/** Within a tag, in no quotes: where a space in the value would begin another attribute. */
const bareInTag = /^<(?:[a-z/][^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*)?$/i
const insideTag = /<(?:script|style)\b(?![\s\S]*<\/(?:script|style))/i

/**
 * Builds HTML: values are escaped, lists joined, `Html` goes in as it is, `null`, `undefined` and `false` are nothing. Links
 * lead to http, https, mailto, tel or cid. Throws `mailer.template_invalid` for values where escaping does not help: tags and
 * attributes without quotes, scripts and styles.
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = parts[0]!
  values.forEach((value, at) => {
    const shown = show(value)
    if (!(value instanceof Html)) checkPlace(text, shown)
    text += shown + parts[at + 1]!
  })
  return new Html(text)
}

/** HTML from elsewhere, taken as it is: never with anything in it that people wrote. */
export function rawHtml(text: string): Html {
  return new Html(text)
}

function show(value: HtmlValue): string {
  if (value === null || value === undefined || value === false) return ''
  if (value instanceof Html) return value.toString()
  if (Array.isArray(value)) return (value as readonly HtmlValue[]).map(show).join('')
  return escapeHtml(String(value as string))
}

function checkPlace(before: string, shown: string): void {
  // What matters stands in the last tag.
  const tail = before.slice(before.lastIndexOf('<'))
  if (shown !== '' && bareInTag.test(tail)) fail('a value stands in a tag, or in an attribute, without quotes')
  if (insideTag.test(before)) fail('a value stands in a script or a style')
  if (linkAttribute.test(tail) && !safeLink.test(shown)) fail(`a link leads to ${JSON.stringify(shown.slice(0, 100))}`)
}

function fail(reason: string): never {
  throw mailerErrors.error('mailer.template_invalid', { meta: { reason } })
}
