import { X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BoundedMap } from '../../kernel/bounded-map.ts'
import { webhooksInErrors } from './errors.ts'
import type { VerifierParts } from './verifier.ts'

/** What a certificate of SNS says. */
export interface SnsCertificate {
  readonly key: KeyObject
  readonly fromMs: number
  readonly untilMs: number
}

export interface SnsCertificates {
  /** Rejects with `webhooks_in.unavailable` when it cannot be had now. `undefined`: what lies there is no certificate of SNS. */
  find(url: string, parts: VerifierParts): SnsCertificate | undefined | Promise<SnsCertificate | undefined>
}

/** One a year and region, at most a few. */
const most = 32
/** Strangers may name addresses without end. */
const mostAtOnce = 4
/** SNS waits 15 s for our answer. */
const timeoutMs = 5000
const largest = 32 * 1024
const fewestBits = 2048

/** Certificates by their URL, which the caller vouches for. An address of AWS never gets another certificate. */
export function createSnsCertificates(): SnsCertificates {
  const known = new BoundedMap<SnsCertificate>({ entries: most })
  const fetching = new Map<string, Promise<SnsCertificate | undefined>>()

  const load = async (url: string, { egress, log }: VerifierParts): Promise<SnsCertificate | undefined> => {
    try {
      const { status, body } = await egress.fetch(url, { timeoutMs, responseBytes: largest })
      if (status !== 200) throw new Error(`${url} answers ${status}`)
      const found = read(body)
      if (found === undefined) log.warn({ url }, 'what lies at the address of a certificate of SNS is none')
      else known.set(url, found)
      return found
    } catch (cause) {
      log.warn({ err: cause, url }, 'a certificate of SNS could not be fetched')
      throw unavailable(cause)
    }
  }

  return {
    find(url, parts) {
      const found = known.get(url) ?? fetching.get(url)
      if (found !== undefined) return found
      if (fetching.size >= mostAtOnce) throw unavailable(undefined)
      const loading = load(url, parts).finally(() => fetching.delete(url))
      fetching.set(url, loading)
      return loading
    },
  }
}

function read(pem: Buffer): SnsCertificate | undefined {
  try {
    const { publicKey: key, validFrom, validTo } = new X509Certificate(pem)
    const [fromMs, untilMs] = [Date.parse(validFrom), Date.parse(validTo)]
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
    const fits = key.asymmetricKeyType === 'rsa' && bits >= fewestBits && fromMs <= untilMs
    return fits ? { key, fromMs, untilMs } : undefined
  } catch {
    return undefined
  }
}

function unavailable(cause: unknown): Error {
  return webhooksInErrors.error('webhooks_in.unavailable', { cause, retryAfterMs: 5000 })
}
