import { storageErrors } from '../../errors.ts'

interface Fault {
  readonly name?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
}

export function statusOf(error: unknown): number | undefined {
  return (error as Fault | undefined)?.$metadata?.httpStatusCode
}

/** What the SDK throws, in our words. Stores call the same thing by different names, so the status decides. */
export function faultOf(error: unknown): unknown {
  const { name } = (error ?? {}) as Fault
  const status = statusOf(error)
  if (name === 'AbortError' || storageErrors.is(error)) return error
  if (name === 'NoSuchBucket' || name === 'NoSuchUpload')
    return storageErrors.error('storage.unavailable', { cause: error })
  if (status === 404) return storageErrors.error('storage.not_found')
  if (status === 304) return storageErrors.error('storage.not_modified')
  if (status === 412) return storageErrors.error('storage.precondition_failed')
  if (status === 416) return storageErrors.error('storage.range_invalid')
  if (name === 'BadDigest') return storageErrors.error('storage.body_mismatch', { meta: { reason: 'check sum' } })
  if (name === 'EntityTooLarge') return storageErrors.error('storage.body_too_large')
  return storageErrors.error('storage.unavailable', { cause: error })
}

/** Runs a call of the SDK; `taken`: a failed precondition means that there is an object already. */
export async function spoken<T>(work: Promise<T>, taken = false): Promise<T> {
  try {
    return await work
  } catch (error) {
    const fault = faultOf(error)
    // 409: two writers of one key at the same time, of whom only one may win.
    const lost = storageErrors.is(fault, 'storage.precondition_failed') || statusOf(error) === 409
    throw taken && lost ? storageErrors.error('storage.exists') : fault
  }
}
