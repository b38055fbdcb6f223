import { currentContext } from '../../kernel/context.ts'
import { fill } from '../../kernel/errors.ts'
import { defineJob } from '../jobs/index.ts'
import type { PayloadInput, PayloadSchema } from '../jobs/index.ts'
import { mailerErrors } from './errors.ts'
import type { Html } from './html.ts'
import type { MessageBody } from './message.ts'

/** Sentences by name; `{word}` in one is filled in. */
export type Texts = Readonly<Record<string, string>>

/** `t('hello', { name })`: the sentence of that name in the language of the mail. */
export type Translate<Name extends string = string> = (
  name: Name,
  values?: Readonly<Record<string, string | number>>,
) => string

export interface RenderCall<Data, Name extends string = string> {
  readonly data: Data
  /** One of the template's languages, or the one asked for where it has no sentences. */
  readonly locale: string
  readonly t: Translate<Name>
}

export interface RenderedTemplate {
  readonly subject: string
  readonly html?: Html | string
  readonly text?: string
}

export interface TemplateSpec<Data, Name extends string = string> {
  /** In the preview, e.g. `account.welcome`. */
  readonly name: string
  /** Sentences by language; `en` is what others fall back to. */
  readonly texts?: { readonly en: Readonly<Record<Name, string>> } & Readonly<
    Record<string, Readonly<Partial<Record<Name, string>>>>
  >
  /** What the preview shows. */
  readonly sample?: NoInfer<Data>
  /** See `Message.category`. */
  readonly category?: string
  render(call: RenderCall<Data, Name>): RenderedTemplate | Promise<RenderedTemplate>
}

/** A kind of mail: data in, a mail without recipients out. */
export interface Template<Data = unknown> {
  readonly name: string
  readonly locales: readonly string[]
  readonly category: string | undefined
  readonly sample: Data | undefined
  /**
   * Spread it into a message: `mailer.send({ to, ...(await welcome.render(data)) })`. The language is `locale`, else that of the
   * unit of work. Throws `mailer.template_invalid`.
   */
  render(data: Data, options?: { readonly locale?: string }): Promise<MessageBody>
}

/** One of several, whatever its data. */
export type AnyTemplate = Omit<Template<never>, 'sample'> & { readonly sample: unknown }

/** Declares a kind of mail. With a `schema` (TypeBox or Standard Schema) the data has its type. */
export function defineTemplate<const S extends PayloadSchema, Name extends string = string>(
  spec: TemplateSpec<PayloadInput<S>, Name> & { readonly schema: S },
): Template<PayloadInput<S>>
export function defineTemplate<Data, Name extends string = string>(
  spec: TemplateSpec<Data, Name> & { readonly schema?: never },
): Template<Data>
export function defineTemplate<Data, Name extends string>(
  spec: TemplateSpec<Data, Name> & { readonly schema?: PayloadSchema },
): Template<Data> {
  const { name, texts, category, sample } = spec
  const fail = (reason: string): never => {
    throw mailerErrors.error('mailer.template_invalid', { meta: { template: String(name), reason } })
  }
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9._-]{0,99}$/.test(name))
    fail('the name must be lower-case letters, digits and ._-')
  const own = (texts ?? {}) as Readonly<Record<string, Readonly<Partial<Record<string, string>>>>>
  const locales = texts === undefined ? ['en'] : Object.keys(own)
  for (const locale of locales)
    for (const sentence of Object.keys(own[locale] ?? {}))
      if (own['en']?.[sentence] === undefined) fail(`"${sentence}" of the language ${locale} is not in en`)
  // Data is checked by the same means as that of jobs.
  const { check } = defineJob({
    kind: 'mail.template',
    ...(spec.schema !== undefined && { schema: spec.schema }),
  } as never)
  return {
    name,
    locales,
    category,
    sample,
    async render(data, options = {}) {
      const wanted = options.locale ?? currentContext()?.locale ?? 'en'
      const locale = texts === undefined ? wanted : (matching(wanted, locales) ?? 'en')
      const t: Translate = (sentence, values) => {
        const text = own[locale]?.[sentence] ?? own['en']?.[sentence]
        return text === undefined ? fail(`there is no sentence "${sentence}"`) : fill(text, values)
      }
      try {
        await check(data as never)
      } catch (error) {
        fail(`the data does not fit: ${(error as { meta?: { reason?: string } }).meta?.reason ?? 'no reason given'}`)
      }
      const rendered = await spec.render({ data, locale, t })
      return { ...rendered, locale, ...(category !== undefined && { category }) }
    },
  }
}

function matching(wanted: string, locales: readonly string[]): string | undefined {
  return [wanted, wanted.split('-', 1)[0]!].find((locale) => locales.includes(locale))
}
