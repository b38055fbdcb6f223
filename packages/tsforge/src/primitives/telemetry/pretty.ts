import type { LineSink } from '../../kernel/log.ts'

/** Turns JSON lines into lines for people on their way to `sink`. What is not JSON passes as it is. */
export function prettySink(sink: LineSink): LineSink {
  return { write: (line) => sink.write(pretty(line)), flushSync: () => sink.flushSync() }
}

/** `12:00:01.123 INFO  listening  url=http://127.0.0.1:3000`, the stack of an error on lines of its own. */
export function pretty(line: string): string {
  let entry: unknown
  try {
    entry = JSON.parse(line)
  } catch {
    return line
  }
  if (typeof entry !== 'object' || entry === null) return line
  const { level, time, msg, ...rest } = entry as Record<string, unknown>
  const stacks: string[] = []
  const facts = Object.entries(rest).map(([key, value]) => {
    if (!isError(value)) return `${key}=${show(value)}`
    stacks.push(
      ...value.stack
        .split('\n')
        .slice(1)
        .map((frame) => `\n    ${printable(frame.trim())}`),
    )
    return `${key}=${show(`${value.type}: ${value.message}`)}`
  })
  const clockTime = typeof time === 'string' ? time.slice(11, 23) : ''
  const head = `${clockTime} ${text(level).toUpperCase().padEnd(5)} ${text(msg)}`
  return `${head}${facts.length > 0 ? `  ${facts.join(' ')}` : ''}${stacks.join('')}\n`
}

function isError(value: unknown): value is { type: string; message: string; stack: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'stack' in value &&
    typeof value.stack === 'string' &&
    'type' in value &&
    'message' in value
  )
}

/** Level and message are texts; whatever else a foreign line puts there is shown as JSON. */
function text(value: unknown): string {
  return printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
}

function show(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@?&=%+,~-]+$/.test(value)) return value
  return printable(JSON.stringify(value) ?? '')
}

/** Control characters would let a logged text move the cursor or forge a line. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
