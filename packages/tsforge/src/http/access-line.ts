/** What one access line tells. */
export interface AccessFacts {
  readonly now: number
  readonly method: string
  /** Route template, e.g. `/api/v1/notes/:id`; empty when nothing matched. */
  readonly route: string
  /** Target without the query. */
  readonly path: string
  readonly status: number
  readonly durationMs: number
  /** Body bytes sent. */
  readonly bytes: number
  readonly ip: string
  readonly requestId: string
  readonly actorId: string | null
  readonly tenantId: string | null
  readonly traceId: string | undefined
  /** The caller left before the answer. */
  readonly aborted: boolean
}

const plain = /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/
const maxText = 1024

/** One JSON line. Built by hand: a logger child per request costs a fifth of the throughput. */
export function accessLine(facts: AccessFacts): string {
  const route = quoted(facts.route)
  const path = facts.path === facts.route ? route : quoted(facts.path)
  let line =
    `{"level":"${facts.status >= 500 ? 'warn' : 'info'}","time":"${iso(facts.now)}","method":"${quoted(facts.method)}","route":"${route}","path":"${path}",` +
    `"status":${facts.status},"duration_ms":${milliseconds(facts.durationMs)},"bytes":${facts.bytes},"ip":"${quoted(facts.ip)}","request_id":"${facts.requestId}"`
  if (facts.actorId !== null) line += `,"actor_id":"${quoted(facts.actorId)}"`
  if (facts.tenantId !== null) line += `,"tenant_id":"${quoted(facts.tenantId)}"`
  if (facts.traceId !== undefined) line += `,"trace_id":"${facts.traceId}"`
  if (facts.aborted) line += ',"aborted":true'
  return line + ',"msg":"request"}\n'
}

const thousandths: readonly string[] = Array.from({ length: 1000 }, (_, at) => `.${String(at).padStart(3, '0')}`)

/** With three decimals, made of whole numbers: to find the shortest form of a fraction takes V8 longer than all other fields. */
function milliseconds(duration: number): string {
  const micros = Math.round(duration * 1000)
  const whole = Math.floor(micros / 1000)
  return `${whole}${thousandths[micros - whole * 1000]!}`
}

let second = -1
let prefix = ''

/** ISO 8601, its part up to the second made once per second. */
function iso(now: number): string {
  const whole = Math.floor(now / 1000)
  if (whole !== second) {
    second = whole
    prefix = new Date(whole * 1000).toISOString().slice(0, 20)
  }
  const ms = Math.trunc(now - whole * 1000)
  return `${prefix}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
}

/** The inside of a JSON string in pure ASCII, so that no terminal or log reader can be spoken to. */
function quoted(text: string): string {
  if (text.length <= maxText && plain.test(text)) return text
  return JSON.stringify(text.slice(0, maxText))
    .slice(1, -1)
    .replace(/[\x7f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
