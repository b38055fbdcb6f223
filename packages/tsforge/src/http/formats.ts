/**
 * The string formats that schemas may name. Each test runs in linear time and starts with a length, so that
 * no input can keep the event loop busy.
 */
const dateShape = /^(\d{4})-(\d{2})-(\d{2})$/
const timeShape = /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const label = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i
const localPart = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+$/i
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$/

function isDate(text: string): boolean {
  const match = dateShape.exec(text)
  if (match === null) return false
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0
  return month >= 1 && month <= 12 && day >= 1 && day <= monthDays[month - 1]! + leap
}

function isHostname(text: string): boolean {
  return text.length <= 253 && text.split('.').every((part) => part.length <= 63 && label.test(part))
}

/** The addresses that mail servers in fact carry: dot-atom local part, a host name with a dot (RFC 5321 sizes). */
function isEmail(text: string): boolean {
  if (text.length > 254) return false
  const at = text.lastIndexOf('@')
  if (at < 1 || at > 64) return false
  const host = text.slice(at + 1)
  return (
    text
      .slice(0, at)
      .split('.')
      .every((part) => localPart.test(part)) &&
    host.includes('.') &&
    isHostname(host)
  )
}

function isUri(text: string): boolean {
  return text.length <= 8192 && /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i.test(text) && URL.canParse(text)
}

export const formats: Readonly<Record<string, (text: string) => boolean>> = {
  date: isDate,
  time: (text) => text.length <= 32 && timeShape.test(text),
  'date-time': (text) =>
    text.length <= 48 && /^[Tt ]$/.test(text[10] ?? '') && isDate(text.slice(0, 10)) && timeShape.test(text.slice(11)),
  duration: (text) =>
    text.length <= 64 && /^P(?!$)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/.test(text),
  email: isEmail,
  'idn-email': isEmail,
  hostname: isHostname,
  ipv4: (text) => ipv4.test(text),
  ipv6: (text) => text.length <= 45 && URL.canParse(`http://[${text}]/`) && /^[0-9a-f:.]+$/i.test(text),
  uri: isUri,
  url: (text) => isUri(text) && /^https?:\/\//i.test(text),
  'uri-reference': (text) => text.length <= 8192 && /^[\x21-\x7e]*$/.test(text) && URL.canParse(text, 'http://a/'),
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
  regex: (text) => {
    try {
      new RegExp(text, 'u')
      return true
    } catch {
      return false
    }
  },
  byte: (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  base64: (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  base64url: (text) => /^[A-Za-z0-9_-]*$/.test(text),
}
