import { signaturesErrors } from './errors.ts'

/** Visible ASCII without dots: a dot in it would let its end pass for a timestamp (Standard Webhooks forbids it too). */
const pattern = /^[!-\-/-~]{1,256}$/

export function isId(text: string): boolean {
  return pattern.test(text)
}

/** Throws `signatures.message_invalid`. */
export function checkId(id: string | undefined): string {
  if (id === undefined || !isId(id))
    throw signaturesErrors.error('signatures.message_invalid', { meta: { reason: 'its id is not valid' } })
  return id
}
