import { remembering } from './recent.ts'

/** What a caller wants to read. */
export interface Wanted {
  /** A JSON answer is acceptable. `application/problem+json` alone counts: its sender can read JSON. */
  readonly json: boolean
  /** Errors are wanted as RFC 9457 problem details. */
  readonly problem: boolean
  accepts(mediaType: string): boolean
}

interface Range {
  readonly type: string
  readonly q: number
}

/** Parses Accept (RFC 9110 section 12.5.1); headers that were seen lately come from memory. */
export const parseAccept: (header: string) => Wanted = remembering((header) => {
  const ranges: Range[] = []
  for (const part of header.split(',', 64)) {
    const [type = '', ...parameters] = part.split(';', 16)
    let q = 1
    for (const parameter of parameters) {
      const match = /^\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/i.exec(parameter)
      if (match !== null) q = Number(match[1])
    }
    const name = type.trim().toLowerCase()
    if (name !== '') ranges.push({ type: name, q })
  }
  const exactly = (type: string): number => ranges.find((range) => range.type === type)?.q ?? -1
  const quality = (type: string): number => {
    for (const candidate of [type, `${type.slice(0, type.indexOf('/'))}/*`, '*/*']) {
      const q = exactly(candidate)
      if (q >= 0) return q
    }
    return 0
  }
  const problem = exactly('application/problem+json')
  return {
    json: ranges.length === 0 || quality('application/json') > 0 || problem > 0,
    problem: problem > 0 && problem >= exactly('application/json'),
    accepts: (mediaType) => ranges.length === 0 || quality(mediaType) > 0,
  }
})

/** What a caller without an Accept header gets. */
export const anything: Wanted = { json: true, problem: false, accepts: () => true }
