import { ForgeError } from '../kernel/errors.ts'
import type { I18n } from '../kernel/i18n.ts'
import { httpErrors } from './errors.ts'
import type { Head } from './head.ts'
import { Outgoing } from './outgoing.ts'
import { statusText } from './status-text.ts'

/** An error as it goes out. */
export interface Failure {
  readonly status: number
  readonly contentType: string
  readonly language: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly retryAfterMs: number | undefined
}

export interface FailureView {
  readonly i18n: I18n
  readonly locale: string
  readonly requestId: string
  /** RFC 9457 instead of the envelope. */
  readonly problem: boolean
  /** Target without the query. */
  readonly path: string
}

const internal = httpErrors.error('internal')

/** What a caller may see of `thrown`: itself when it is a catalogued error below 500 or a 5xx other than 500, else `internal`. */
export function shown(thrown: unknown): ForgeError {
  return thrown instanceof ForgeError && thrown.status !== 500 ? thrown : internal
}

/** The one place where errors become text. */
export function renderFailure(thrown: unknown, view: FailureView): Failure {
  try {
    return render(shown(thrown), view)
  } catch {
    // Its meta cannot be written as JSON (a BigInt, a cycle). The caller gets an answer all the same.
    return render(internal, view)
  }
}

/** `failure` with its headers, besides the standing ones of `base`; `challenge` is for a 401 without one of its own. */
export function answerOf(failure: Failure, base: Head, challenge: string): Outgoing {
  const { status, contentType, language, headers, retryAfterMs } = failure
  const out = new Outgoing(base, status)
  out.added.push('content-type', contentType, 'content-language', language)
  if (retryAfterMs !== undefined) out.added.push('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1000))))
  if (headers !== undefined) out.merge(headers)
  if (status === 401 && headers?.['www-authenticate'] === undefined) out.added.push('www-authenticate', challenge)
  out.body = failure.body
  return out
}

function render(error: ForgeError, view: FailureView): Failure {
  const { text: message, locale } = view.i18n.say(error, view.locale)
  return {
    status: error.status,
    contentType: view.problem ? 'application/problem+json' : 'application/json; charset=utf-8',
    language: locale,
    body: view.problem ? problem(error, message, view) : envelope(error, message, view),
    headers: error.headers,
    retryAfterMs: error.retryAfterMs,
  }
}

function envelope(error: ForgeError, message: string, view: FailureView): string {
  return JSON.stringify({
    success: false,
    error: { code: error.code, message, meta: error.meta },
    request_id: view.requestId,
  })
}

function problem(error: ForgeError, message: string, view: FailureView): string {
  const { fields, ...meta } = error.meta ?? {}
  return JSON.stringify({
    ...error.problem?.members,
    type: error.problem?.type ?? `urn:tsforge:error:${error.code}`,
    title: error.problem?.title ?? statusText(error.status),
    status: error.status,
    detail: message,
    instance: view.path,
    code: error.code,
    errors: fields,
    meta: Object.keys(meta).length === 0 ? undefined : meta,
    request_id: view.requestId,
    fix: error.spec.fix,
  })
}
