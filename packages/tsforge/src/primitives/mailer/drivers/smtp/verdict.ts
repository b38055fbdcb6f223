import type { ForgeError } from '../../../../kernel/errors.ts'
import type { Refusal } from '../../driver.ts'
import { mailerErrors } from '../../errors.ts'

/** What nodemailer tells. */
export interface SmtpFault extends Error {
  readonly code?: string | undefined
  readonly command?: string | undefined
  readonly responseCode?: number | false | undefined
  readonly response?: string | undefined
  readonly recipient?: string | undefined
  readonly accepted?: string[] | undefined
  readonly rejectedErrors?: SmtpFault[] | undefined
}

/** Answers about who we are, not about the mail: another time, with other settings, it may be taken. */
const aboutUs = new Set([421, 454, 503, 530, 534, 535, 538])
const settingsCodes = new Set(['EAUTH', 'ENOAUTH', 'EOAUTH2', 'ETLS', 'EREQUIRETLS', 'ECONFIG'])
/** Codes of certificates and handshakes, which nodemailer shows as faults of the socket. */
const certificateCodes = /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO)/

/**
 * What a failed delivery means. `handedOver`: all of the mail may have been sent. Then silence is no answer; before, the
 * server cannot have accepted anything (RFC 5321 section 4.2.5).
 */
export function verdict(fault: SmtpFault, handedOver: boolean): ForgeError {
  const { code = '', cause } = fault
  const answer = fault.responseCode === undefined || fault.responseCode === false ? undefined : fault.responseCode
  const meta = answer === undefined ? {} : { meta: { code: answer } }
  const original =
    (fault as { originalCode?: string }).originalCode ?? (cause as { code?: string } | undefined)?.code ?? ''
  if (settingsCodes.has(code) || answer === 530 || answer === 535 || certificateCodes.test(original))
    return mailerErrors.error('mailer.misconfigured', { ...meta, cause: fault })
  const aboutMail = code === 'EENVELOPE' || code === 'EMESSAGE'
  if (aboutMail && (answer === undefined || isPermanent(answer)))
    return mailerErrors.error('mailer.rejected', { ...meta, cause: fault })
  if (answer === undefined && handedOver) return mailerErrors.error('mailer.outcome_unknown', { cause: fault })
  const retryAfterMs = answer === undefined ? undefined : patience(answer, fault.response ?? '')
  return mailerErrors.error('mailer.unavailable', {
    ...meta,
    cause: fault,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

/** The answer to one recipient. */
export function refusalOf(fault: SmtpFault): Refusal {
  const code = fault.responseCode === false ? undefined : fault.responseCode
  const response = (fault.response ?? fault.message).slice(0, 500)
  const permanent = code === undefined || isPermanent(code)
  const retryAfterMs = permanent ? undefined : patience(code, response)
  return {
    address: fault.recipient ?? '',
    permanent,
    code,
    response,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}

function isPermanent(code: number): boolean {
  return code >= 500 && code < 600 && !aboutUs.has(code)
}

const greylisted = /gr[ea]y-?list|try again|temporarily deferred|4\.7\.1\b/i
const said = /\b(?:in|after|wait|for|retry)\D{0,20}(\d{1,5})\s*(s|sec|seconds?|m|min|minutes?)\b/i
const clockSaid = /\b(\d{1,2}):(\d{2}):(\d{2})\b/

/** How long a server that says "later" means: what it names, else five minutes where it looks like greylisting. */
export function patience(code: number, response: string): number | undefined {
  if (code >= 500) return undefined
  const bounded = (ms: number): number => Math.min(Math.max(ms, 1000), 4 * 3_600_000)
  const named = said.exec(response)
  if (named !== null) return bounded(Number(named[1]) * (named[2]!.toLowerCase().startsWith('m') ? 60_000 : 1000))
  const span = clockSaid.exec(response)
  if (span !== null) return bounded((Number(span[1]) * 3600 + Number(span[2]) * 60 + Number(span[3])) * 1000)
  return greylisted.test(response) || code === 450 || code === 451 ? 300_000 : undefined
}
