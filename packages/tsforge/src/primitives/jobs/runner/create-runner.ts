import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { Engine } from './engine.ts'
import { handlersByKind } from './handler.ts'
import { Kind } from './kind.ts'
import { Meter } from './meter.ts'
import type { Runner } from './runner.ts'
import { resolve } from './settings.ts'
import type { RunnerSettings } from './settings.ts'

/**
 * Runs the jobs of the handlers' kinds; others stay for whoever knows them. Throws `jobs.option_invalid` and
 * `jobs.definition_invalid`.
 */
export function createRunner({
  jobs,
  handlers,
  options = {},
  clock = systemClock,
  log = silentLog,
  metrics,
}: RunnerSettings): Runner {
  const byKind = handlersByKind(handlers)
  const worker = options.worker ?? `${hostname().slice(0, 60)}:${process.pid}:${randomBytes(8).toString('hex')}`
  const resolved = resolve(options, handlers, worker)
  const meter = new Meter(clock, metrics)
  const kinds = new Map([...byKind].map(([name, handler]) => [name, new Kind(handler, meter)]))
  return new Engine({ jobs, kinds, options: resolved, clock, log, meter })
}
