import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Log } from '../../kernel/log.ts'
import { createMetrics } from '../../kernel/metrics.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { createHttp, httpOptions } from '../index.ts'
import type { HttpOptions, HttpServer, HttpSettings, Route } from '../index.ts'

/** The defaults of the options schema. */
export const defaults: HttpOptions = Object.fromEntries(
  Object.entries(httpOptions).map(([key, field]) => [key, (field as { defaultValue: unknown }).defaultValue]),
) as unknown as HttpOptions

export interface Lab {
  readonly http: HttpServer
  /** Access lines, parsed. */
  readonly lines: Record<string, unknown>[]
  readonly rawLines: string[]
  /** Entries of the application log. */
  readonly logged: {
    readonly level: string
    readonly fields: Readonly<Record<string, unknown>>
    readonly message: string
  }[]
  readonly metrics: Metrics
}

export interface LabSettings extends Partial<Omit<HttpSettings, 'options'>> {
  readonly options?: Partial<HttpOptions>
  readonly clock?: Clock
}

const open: Lab[] = []

/** A server with recording sinks; closed by `closeLabs`. */
export async function lab(routes: readonly Route[], settings: LabSettings = {}): Promise<Lab> {
  const rawLines: string[] = []
  const lines: Record<string, unknown>[] = []
  const logged: Lab['logged'] = []
  const note = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    void logged.push({ level, fields, message })
  const log: Log = { ...silentLog, warn: note('warn'), error: note('error'), fatal: note('fatal') }
  const metrics = createMetrics()
  const http = await createHttp(
    {
      app: { name: 'lab', version: '1.2.3', environment: 'test', root: '/' },
      log,
      sink: {
        write: (line) => {
          rawLines.push(line)
          lines.push(JSON.parse(line) as Record<string, unknown>)
        },
        flushSync: () => {},
      },
      clock: systemClock,
      metrics,
      ...settings,
      // A machine that lets the process stand for a second would have the test's own requests refused.
      options: { ...defaults, shedding: false, ...settings.options },
    },
    routes,
  )
  const made = { http, lines, rawLines, logged, metrics }
  open.push(made)
  return made
}

export async function closeLabs(): Promise<void> {
  await Promise.all(open.splice(0).map(({ http }) => http.close()))
}
