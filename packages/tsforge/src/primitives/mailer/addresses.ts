import { domainToASCII } from 'node:url'
import type { Address, Mailbox } from './message.ts'
import { checkLine, refuse } from './plain-text.ts'

/** RFC 5322 dot-atom. Quoted local parts are refused: programs disagree about where such an address ends. */
const localPart = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** What stands between the name and `<`; a name with other characters is quoted. */
const withName = /^(?:"((?:[^"\\]|\\["\\])*)"|([^"<>@,;:\\()[\]]*))\s*<([^<>]*)>$/

/** One mailbox. Throws `mailer.message_invalid` naming `field`. */
export function readAddress(field: string, value: Address): Mailbox {
  if (typeof value === 'string') return readText(field, value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(field, 'must be an address')
  const { name = '', address } = value
  checkLine(field, name, 320)
  checkLine(field, address, 1000)
  return { name: name.trim(), address: readSpec(field, address) }
}

/** One or several. */
export function readAddresses(field: string, value: Address | readonly Address[] | undefined): Mailbox[] {
  if (value === undefined) return []
  const list: readonly Address[] = Array.isArray(value) ? (value as readonly Address[]) : [value as Address]
  return list.map((each, at) => readAddress(list.length > 1 ? `${field}[${at}]` : field, each))
}

function readText(field: string, text: string): Mailbox {
  checkLine(field, text, 1000)
  const trimmed = text.trim()
  if (!trimmed.includes('<')) return { name: '', address: readSpec(field, trimmed) }
  const match = withName.exec(trimmed)
  if (match === null) refuse(field, 'is not one address like `Ada <ada@example.com>`')
  const name = match[1]?.replace(/\\(["\\])/g, '$1') ?? match[2]!.trim()
  return { name, address: readSpec(field, match[3]!) }
}

function readSpec(field: string, spec: string): string {
  const at = spec.lastIndexOf('@')
  if (at <= 0) refuse(field, 'is not an address')
  const local = spec.slice(0, at)
  // eslint-disable-next-line no-control-regex -- whatever is not ASCII
  if (/[^\x00-\x7f]/.test(local)) refuse(field, 'has letters outside of ASCII in front of the @')
  if (local.length > 64 || !localPart.test(local)) refuse(field, 'has a part in front of the @ that is not plain')
  const written = spec.slice(at + 1)
  if (/[\s%:/?#[\]\\]/.test(written)) refuse(field, 'has a domain that is none')
  const domain = domainToASCII(written).toLowerCase()
  const labels = domain.split('.')
  const numeric = /^\d+$/.test(labels.at(-1)!)
  if (domain.length > 253 || numeric || !labels.every((each) => label.test(each)))
    refuse(field, 'has a domain that is none')
  if (local.length + 1 + domain.length > 254) refuse(field, 'is longer than 254 characters')
  return `${local}@${domain}`
}

/** For comparing and for lists: two spellings of one mailbox in practice. */
export function addressKey(address: string): string {
  return address.toLowerCase()
}
