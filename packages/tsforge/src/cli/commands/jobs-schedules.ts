import type { App } from '../../host/app.ts'
import { scheduleFacts } from '../../primitives/jobs/facts.ts'
import type { Jobs, ScheduleRecord, Schedules } from '../../primitives/jobs/index.ts'
import type { Invocation } from '../command.ts'
import { UsageError } from '../command.ts'
import { suggestion } from '../parse.ts'
import { nameOf, printable, refuse, whole } from './jobs-input.ts'

type Act = (schedules: Schedules, call: Invocation) => Promise<void>

/** `forge jobs schedules [verb] [name]`: checks what is asked, then gives what does it. */
export function schedules(call: Invocation): (jobs: Jobs, call: Invocation, app: App) => Promise<void> {
  const [, verb = 'list'] = call.words
  const make = Object.hasOwn(verbs, verb) ? verbs[verb as keyof typeof verbs] : undefined
  if (make === undefined)
    throw new UsageError(`forge jobs schedules has no "${verb}"${suggestion(verb, Object.keys(verbs))}`)
  refuse(
    call.flags,
    'schedules',
    'queue',
    'kind',
    'state',
    'tag',
    'key',
    'tenant',
    'before',
    'per-second',
    'all',
    'dry-run',
  )
  const act = make(call)
  return async (_jobs, _call, app) => {
    const { schedulesPort } = await import('../../primitives/jobs/index.ts')
    await act(app.get(schedulesPort), call)
  }
}

const verbs: Readonly<Record<'list' | 'preview' | 'pause' | 'resume' | 'run', (call: Invocation) => Act>> = {
  list: ({ words, flags }) => {
    if (words[2] !== undefined) throw new UsageError(`forge jobs schedules list takes no "${words[2]}".`)
    refuse(flags, 'schedules list', 'limit')
    return async (schedules, { terminal }) => {
      const found: ScheduleRecord[] = []
      for (let after: readonly (string | null)[] | undefined; ;) {
        const { items, next } = await schedules.list({ limit: 1000, ...(after !== undefined && { after }) })
        found.push(...items)
        if (next === undefined) break
        after = next
      }
      terminal.answer({ schedules: found.map(told) }, () =>
        found.length === 0 ? 'There are no schedules.' : terminal.table([heads, ...found.map(row)]),
      )
    }
  },
  preview: ({ words, flags }) => {
    const name = scheduleOf(words, 'preview')
    const count = whole(flags, 'limit', 1000) ?? 10
    return async (schedules, { terminal }) => {
      const runs = await schedules.preview(name, { count })
      terminal.answer({ schedule: name, runs: runs.map(({ at, local }) => ({ at, local })) }, () =>
        runs.length === 0
          ? `${name} never runs again`
          : terminal.table([['AT', 'THERE'], ...runs.map(({ at, local }) => [at.toISOString(), local])]),
      )
    }
  },
  pause: changed('pause', async (schedules, name) => told(await schedules.pause(name)), 'is paused'),
  resume: changed('resume', async (schedules, name) => told(await schedules.resume(name)), 'goes on'),
  run: changed('run', async (schedules, name) => ({ job: (await schedules.trigger(name)).id ?? null }), 'runs now'),
}

const heads = ['NAME', 'STATE', 'TIMING', 'ZONE', 'KIND', 'NEXT', 'LAST', 'TICKS', 'LAST ERROR']

function changed(
  verb: string,
  act: (schedules: Schedules, name: string) => Promise<Readonly<Record<string, unknown>>>,
  told: string,
) {
  return ({ words, flags }: Invocation): Act => {
    const name = scheduleOf(words, verb)
    refuse(flags, `schedules ${verb}`, 'limit')
    return async (schedules, { terminal }) => {
      const now = await act(schedules, name)
      terminal.answer({ ok: true, schedule: name, ...now }, () => `${name} ${told}`)
    }
  }
}

function scheduleOf(words: readonly string[], verb: string): string {
  if (words[2] === undefined) throw new UsageError(`forge jobs schedules ${verb} needs <name>.`)
  return nameOf(words[2], 'A schedule')
}

function told(schedule: ScheduleRecord): Readonly<Record<string, unknown>> {
  const { origin, tenantId, payload, error } = schedule
  return {
    ...scheduleFacts(schedule),
    tenant_id: tenantId ?? null,
    origin: origin ?? null,
    payload,
    error: error ?? null,
  }
}

function row(schedule: ScheduleRecord): readonly string[] {
  const { name, state, timing, kind, nextAt, lastAt, ticks, error } = schedule
  return [
    name,
    state,
    printable('cron' in timing ? timing.cron : `every ${timing.everyMs / 1000}s`),
    timing.timeZone,
    kind,
    nextAt?.toISOString() ?? '-',
    lastAt?.toISOString() ?? '-',
    String(ticks),
    printable(error ?? '')
      .replaceAll(/\s+/g, ' ')
      .slice(0, 80),
  ]
}
