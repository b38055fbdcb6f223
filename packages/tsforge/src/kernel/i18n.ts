import { negotiateLocale } from './accept-language.ts'
import { BoundedMap } from './bounded-map.ts'
import { fill } from './errors.ts'
import type { ErrorCatalogue, ForgeError } from './errors.ts'

/** Sentences for error codes in one language; they go before those of the catalogues. */
export interface Messages {
  /** BCP 47 tag, e.g. `de` or `pt-BR`. */
  readonly locale: string
  readonly messages: Readonly<Record<string, string>>
}

export interface I18nSettings {
  /** Languages that answers may have, the default first. Default: English, Indonesian and those of `bundles`. */
  readonly locales?: readonly string[]
  readonly bundles?: readonly Messages[]
  /** When given, a bundle with a code or placeholder that none of them has is refused. */
  readonly catalogues?: readonly ErrorCatalogue[]
}

/** The languages of an app. Immutable once built. */
export interface I18n {
  readonly locales: readonly string[]
  /** The best locale for an `Accept-Language` header; see `negotiateLocale`. */
  negotiate(header: string | undefined): string
  /** The sentence for `error`, and the language that it really is in (for `Content-Language`). */
  say(error: ForgeError, locale: string): { readonly text: string; readonly locale: string }
}

/** Headers of browsers are few and repeat; hostile ones turn the cache over without making it grow. */
const maxCached = 256

/**
 * The sentences of the error catalogues with languages added or replaced by `bundles`, later ones first. A
 * sentence is looked for in the exact locale, in its parent (`pt-BR` → `pt`), then in English.
 */
export function createI18n({ locales, bundles = [], catalogues }: I18nSettings = {}): I18n {
  const known = locales ?? [...new Set(['en', 'id', ...bundles.map((bundle) => bundle.locale)])]
  if (known.length === 0) throw new TypeError('an app speaks at least one language')
  for (const locale of known) Intl.getCanonicalLocales(locale)
  const own = new Map<string, Map<string, string>>()
  for (const bundle of bundles) {
    if (catalogues !== undefined) checkBundle(bundle, catalogues)
    const sentences = own.get(bundle.locale) ?? new Map<string, string>()
    for (const [code, sentence] of Object.entries(bundle.messages)) sentences.set(code, sentence)
    own.set(bundle.locale, sentences)
  }
  const cache = new BoundedMap<string>({ entries: maxCached })

  return {
    locales: Object.freeze([...known]),
    negotiate(header = '') {
      let locale = cache.get(header)
      if (locale === undefined) {
        locale = negotiateLocale(header, known)
        // A long key would be kept for nobody.
        if (header.length <= 200) cache.set(header, locale)
      }
      return locale
    },
    say(error, wanted) {
      const { message } = error.spec
      for (const locale of [wanted, wanted.split('-', 1)[0]!, 'en']) {
        const shipped =
          typeof message === 'string'
            ? locale === 'en'
              ? message
              : undefined
            : Object.hasOwn(message, locale)
              ? message[locale]
              : undefined
        const sentence = own.get(locale)?.get(error.code) ?? shipped
        if (sentence !== undefined) return { text: fill(sentence, error.meta), locale }
      }
      return { text: error.message, locale: 'en' }
    },
  }
}

/** Codes of `catalogues` that have no sentence in `locale`, neither shipped nor in `bundles`. For a test of the app. */
export function missingMessages(
  locale: string,
  catalogues: readonly ErrorCatalogue[],
  bundles: readonly Messages[] = [],
): string[] {
  const given = bundles.filter((bundle) => bundle.locale === locale)
  return catalogues
    .flatMap(({ specs }) => Object.entries(specs))
    .filter(([code, { message }]) => {
      const shipped = typeof message === 'string' ? locale === 'en' : Object.hasOwn(message, locale)
      return !shipped && !given.some((bundle) => Object.hasOwn(bundle.messages, code))
    })
    .map(([code]) => code)
}

function checkBundle({ locale, messages }: Messages, catalogues: readonly ErrorCatalogue[]): void {
  for (const [code, sentence] of Object.entries(messages)) {
    const spec = catalogues.find(({ specs }) => Object.hasOwn(specs, code))?.specs[code]
    if (spec === undefined) throw new TypeError(`messages for "${locale}": no error has the code "${code}"`)
    const original = new Set(placeholders(typeof spec.message === 'string' ? spec.message : spec.message.en))
    const stranger = placeholders(sentence).find((name) => !original.has(name))
    if (stranger !== undefined) throw new TypeError(`messages for "${locale}": "${code}" has no {${stranger}}`)
  }
}

function placeholders(sentence: string): string[] {
  return [...sentence.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!)
}
export { negotiateLocale } from './accept-language.ts'
