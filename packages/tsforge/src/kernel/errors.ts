/** A sentence in the languages that the framework ships. A plain string counts as English. */
export interface Localized {
  readonly en: string
  readonly id: string
  readonly [locale: string]: string
}

/** One entry of a module's error catalogue. `{name}` in a sentence is filled from `meta.name`. */
export interface ErrorSpec {
  /** HTTP status. A 500 is shown to callers as `internal`; its code reaches the log alone. */
  readonly status: number
  readonly message: string | Localized
  /** What the caller can do about it. Shown in the docs, and in problem+json as `fix`. */
  readonly fix?: string
}

export interface ErrorDetails {
  /** Machine-readable facts, sent to the caller. Never a secret, never internals. */
  readonly meta?: Readonly<Record<string, unknown>>
  /** The underlying error. Logged, never sent. */
  readonly cause?: unknown
  /** Sent as `Retry-After`, rounded up to whole seconds. */
  readonly retryAfterMs?: number
  /** Extra response headers, e.g. `allow` or `www-authenticate`. */
  readonly headers?: Readonly<Record<string, string>>
  /** A registered problem type (RFC 9457) in place of our own, for those who ask for problem+json. */
  readonly problem?: ProblemType
}

export interface ProblemType {
  readonly type: string
  readonly title: string
  /** Extension members of the type. */
  readonly members?: Readonly<Record<string, unknown>>
}

/** The only error that crosses a module's border. Immutable: details are given when it is made. */
export class ForgeError<Code extends string = string> extends Error {
  override readonly name = 'ForgeError'
  readonly code: Code
  readonly status: number
  readonly spec: ErrorSpec
  readonly meta: Readonly<Record<string, unknown>> | undefined
  readonly retryAfterMs: number | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly problem: ProblemType | undefined

  constructor(code: Code, spec: ErrorSpec, details: ErrorDetails = {}) {
    super(fill(english(spec.message), details.meta), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = spec.status
    this.spec = spec
    this.meta = details.meta
    this.retryAfterMs = details.retryAfterMs
    this.headers = details.headers
    this.problem = details.problem
  }
}

/** A module's errors: one union of codes, each with status, message and fix. */
export interface ErrorCatalogue<Code extends string = string> {
  readonly specs: Readonly<Record<Code, ErrorSpec>>
  /** Makes (does not throw) the error. */
  error(code: Code, details?: ErrorDetails): ForgeError<Code>
  /** Narrows anything caught to an error of this catalogue, optionally of one code. */
  is(error: unknown, code?: Code): error is ForgeError<Code>
}

const codePattern = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/

/** Declares a catalogue. Codes are snake case, dotted by module, and stable for ever. */
export function defineErrors<Code extends string>(specs: Readonly<Record<Code, ErrorSpec>>): ErrorCatalogue<Code> {
  for (const [code, spec] of Object.entries<ErrorSpec>(specs)) {
    if (!codePattern.test(code)) throw new TypeError(`error code "${code}" is not snake_case, dotted by module`)
    if (!Number.isInteger(spec.status) || spec.status < 400 || spec.status > 599) {
      throw new TypeError(`error code "${code}" has status ${spec.status}, which is not 400..599`)
    }
  }
  return {
    specs,
    error: (code, details) => new ForgeError(code, specs[code], details),
    is: (error, code): error is ForgeError<Code> =>
      error instanceof ForgeError && Object.hasOwn(specs, error.code) && (code === undefined || error.code === code),
  }
}

/** The sentence of `spec` in `locale` (falling back to English), its placeholders filled. */
export function messageOf(error: ForgeError, locale: string): string {
  const { message } = error.spec
  if (typeof message === 'string') return error.message
  return fill(message[locale] ?? message.en, error.meta)
}

function english(message: string | Localized): string {
  return typeof message === 'string' ? message : message.en
}

/** `sentence` with each `{name}` replaced by `meta.name`; lists are joined, what is missing stays. */
export function fill(sentence: string, meta: Readonly<Record<string, unknown>> | undefined): string {
  if (!sentence.includes('{')) return sentence
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = meta !== undefined && Object.hasOwn(meta, name) ? meta[name] : undefined
    if (Array.isArray(value)) return value.join(', ')
    return typeof value === 'string' || typeof value === 'number' ? String(value) : whole
  })
}
