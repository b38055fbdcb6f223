import { eventsPort, isTypeFilter, placeOf } from '../../primitives/events/index.ts'
import type { Events, LoggedEvent, ParkedFilter, ParkedRecord } from '../../primitives/events/index.ts'
import { withApp } from '../app.ts'
import type { Command, Invocation } from '../command.ts'
import { UsageError } from '../command.ts'

type Flags = Invocation['flags']
type Verb = (events: Events, call: Invocation) => Promise<void>

export const events: Command = {
  usage: '[ls|subscriptions|dead|show|retry|redrive|replay]',
  words: {
    ls: 'List the newest events of the log, or those behind --after',
    subscriptions: 'How far each subscription is (the default)',
    dead: 'List dead events; with --waiting those that wait for their next attempt',
    show: { doc: 'Everything about one parked or dead event', takes: ['<subscription>', '<id>'] },
    retry: { doc: 'Deliver a dead event again', takes: ['<subscription>', '<id>'] },
    redrive: 'Deliver dead events again, oldest first; which ones is said by a filter or --all',
    replay: { doc: 'Deliver again what follows a position; --from-start: all that is kept', takes: ['<subscription>'] },
  },
  flags: {
    subscription: { type: 'string', value: '<name>', doc: 'Only of this subscription' },
    type: { type: 'string', value: '<type>', doc: 'Only of this kind; ls: also order.* or **' },
    tenant: { type: 'string', value: '<uuid>', doc: 'Only of this tenant' },
    after: { type: 'string', value: '<position>', doc: 'ls, replay: only what follows this position' },
    limit: { type: 'string', value: '<number>', doc: 'Most events: 1 to 1000 for lists (default 50), any for redrive' },
    'per-second': { type: 'string', value: '<number>', doc: 'redrive: spread over time, so many a second' },
    waiting: { type: 'boolean', doc: 'dead: those that are not dead yet' },
    all: { type: 'boolean', doc: 'redrive: every dead event' },
    'from-start': { type: 'boolean', doc: 'replay: from the oldest event that is kept' },
  },
  examples: [
    'forge events',
    'forge events ls --type order.*',
    'forge events dead --subscription search.index',
    'forge events redrive --subscription search.index --per-second 20',
    'forge events replay search.index --after 000000000012-0000000000000345',
  ],
  async run(call) {
    const verb = verbs[(call.words[0] ?? 'subscriptions') as keyof typeof verbs]
    // Whatever is wrong with what was asked is said before anything is opened.
    const work = verb(call)
    return withApp(call.cwd, async (app) => {
      const log = app.get(eventsPort)
      if (!log.driver.capabilities.shared)
        throw new Error(`The ${log.driver.name} driver keeps events in the process of the app; nobody else sees them.`)
      await app.db.start()
      return work(log, call)
    })
  },
}

const verbs: Readonly<
  Record<'ls' | 'subscriptions' | 'dead' | 'show' | 'retry' | 'redrive' | 'replay', (call: Invocation) => Verb>
> = {
  ls: ({ flags }) => {
    only(flags, 'ls', 'type', 'tenant', 'after', 'limit')
    const [limit, after, type, tenantId] = [
      whole(flags, 'limit', 1000) ?? 50,
      positionOf(flags),
      textOf(flags, 'type'),
      tenantOf(flags),
    ]
    if (type !== undefined && !isTypeFilter(type))
      throw new UsageError('--type takes a kind of event, or order.* or **.')
    const wanted = { ...(type !== undefined && { types: [type] }), ...(tenantId !== undefined && { tenantId }) }
    return async (log, { terminal }) => {
      const found: LoggedEvent[] = []
      // Without a position the newest are wanted: the log is read to its end, and its last ones are kept.
      for (let next = after; ;) {
        const page = await log.read({
          after: next,
          limit: after === undefined ? 1000 : limit - found.length,
          ...wanted,
        })
        found.push(...page.events)
        if (after === undefined) found.splice(0, found.length - limit)
        if (page.end || (after !== undefined && found.length >= limit)) break
        ;({ next } = page)
      }
      terminal.answer({ events: found }, () =>
        found.length === 0
          ? 'There are no such events.'
          : terminal.table([
              ['POSITION', 'TIME', 'TYPE', 'SUBJECT', 'TENANT', 'ID'],
              ...found.map((each) => [
                each.sequence,
                each.time,
                each.type,
                each.subject ?? '',
                each.tenantid ?? '',
                each.id,
              ]),
            ]),
      )
    }
  },
  subscriptions: ({ flags }) => {
    only(flags, 'subscriptions')
    return async (log, { terminal }) => {
      const all = await log.subscriptions()
      const answer = all.map(({ name, cursor, lag, lagMs, waiting, dead, holder, seenAt }) => ({
        name,
        cursor,
        lag,
        lag_ms: Math.round(lagMs),
        waiting,
        dead,
        holder: holder ?? null,
        seen_at: seenAt,
      }))
      terminal.answer({ subscriptions: answer }, () =>
        answer.length === 0
          ? 'There are no subscriptions.'
          : terminal.table([
              ['SUBSCRIPTION', 'LAG', 'WAITING', 'DEAD', 'HELD', 'POSITION'],
              ...answer.map((each) => [
                each.name,
                String(each.lag),
                String(each.waiting),
                String(each.dead),
                each.holder === null ? 'no' : 'yes',
                each.cursor,
              ]),
            ]),
      )
    }
  },
  dead: ({ flags }) => {
    only(flags, 'dead', 'subscription', 'type', 'tenant', 'limit', 'waiting')
    const state = flags['waiting'] === true ? 'waiting' : 'dead'
    const [filter, limit] = [{ ...filterOf(flags), state } as const, whole(flags, 'limit', 1000) ?? 50]
    return async (log, { terminal }) => {
      const { items, next } = await log.parked(filter, { limit })
      terminal.answer({ events: items.map(brief) }, () =>
        items.length === 0
          ? 'There are no such events.'
          : terminal.table([
              ['SUBSCRIPTION', 'ID', 'TYPE', 'ATTEMPTS', 'TIME', 'LAST ERROR'],
              ...items.map(({ subscription, event, attempt, error }) => [
                subscription,
                event.id,
                event.type,
                String(attempt),
                event.time,
                error === undefined ? '' : `${error.name}: ${error.message}`.slice(0, 80),
              ]),
            ]),
      )
      if (next !== undefined && !terminal.json) terminal.note('There are more: narrow the filter, or raise --limit.')
    }
  },
  show: ({ words, flags }) => {
    only(flags, 'show')
    const filter = named(words)
    return async (log, { terminal }) => {
      const [found] = (await log.parked(filter, { limit: 1 })).items
      if (found === undefined)
        throw new Error(`There is no parked or dead event ${filter.id} of ${filter.subscription}.`)
      const shown = { ...brief(found), event: found.event }
      terminal.answer(shown, () => JSON.stringify(shown, null, 2))
    }
  },
  retry: ({ words, flags }) => {
    only(flags, 'retry')
    const { subscription, id } = named(words)
    return async (log, { terminal }) => {
      await log.retry(subscription, id)
      terminal.answer({ ok: true, subscription, id }, () => `${id} is delivered to ${subscription} again`)
    }
  },
  redrive: ({ flags }) => {
    only(flags, 'redrive', 'subscription', 'type', 'tenant', 'limit', 'per-second', 'all')
    const filter = filterOf(flags)
    const [limit, perSecond] = [whole(flags, 'limit'), whole(flags, 'per-second', 1_000_000)]
    if (Object.keys(filter).length > 0 === (flags['all'] === true))
      throw new UsageError('Say which dead events: either filters such as --subscription and --type, or --all.')
    return async (log, { terminal }) => {
      const count = await log.redrive({ filter, limit, perSecond })
      terminal.answer({ ok: true, count }, () => `${count} dead events are delivered again`)
    }
  },
  replay: ({ words, flags }) => {
    only(flags, 'replay', 'after', 'from-start')
    const [, subscription = ''] = words
    const after = positionOf(flags)
    if ((after === undefined) !== (flags['from-start'] === true))
      throw new UsageError('Say from where: either --after with a position (see forge events ls), or --from-start.')
    return async (log, { terminal }) => {
      await log.replay(subscription, after)
      terminal.answer({ ok: true, subscription, after: after ?? null }, () => `${subscription} goes on from there`)
    }
  },
}

/** A flag that a verb would ignore was meant to do something. */
function only(flags: Flags, verb: string, ...names: readonly string[]): void {
  const given = Object.keys(events.flags).find((name) => flags[name] !== undefined && !names.includes(name))
  if (given !== undefined) throw new UsageError(`forge events ${verb} takes no --${given}.`)
}

function named(words: readonly string[]): { readonly subscription: string; readonly id: string } {
  const [, subscription = '', id = ''] = words
  if (!uuid.test(id)) throw new UsageError('An event is named by its id, a UUID.')
  return { subscription, id }
}

function filterOf(flags: Flags): ParkedFilter {
  const [subscription, type, tenantId] = [textOf(flags, 'subscription'), textOf(flags, 'type'), tenantOf(flags)]
  return {
    ...(subscription !== undefined && { subscription }),
    ...(type !== undefined && { type }),
    ...(tenantId !== undefined && { tenantId }),
  }
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function tenantOf(flags: Flags): string | undefined {
  const text = textOf(flags, 'tenant')
  if (text !== undefined && !uuid.test(text)) throw new UsageError('--tenant takes the id of a tenant, a UUID.')
  return text
}

function textOf(flags: Flags, name: string): string | undefined {
  const text = flags[name]
  if (typeof text !== 'string') return undefined
  if (text === '' || text.length > 128 || text.includes('\0'))
    throw new UsageError(`--${name} takes 1 to 128 characters.`)
  return text
}

function positionOf(flags: Flags): string | undefined {
  const text = textOf(flags, 'after')
  if (text !== undefined && placeOf(text) === undefined)
    throw new UsageError('--after takes a position as forge events ls shows it.')
  return text
}

function whole(flags: Flags, name: string, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = flags[name]
  if (typeof text !== 'string') return undefined
  if (!/^[1-9]\d{0,15}$/.test(text) || Number(text) > most)
    throw new UsageError(`--${name} needs a whole number from 1${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}.`)
  return Number(text)
}

function brief({ subscription, event, attempt, state, parkedAt, diedAt, dueAt, error }: ParkedRecord) {
  return {
    subscription,
    id: event.id,
    type: event.type,
    position: event.sequence,
    tenant_id: event.tenantid ?? null,
    state,
    attempts: attempt,
    parked_at: parkedAt,
    died_at: diedAt ?? null,
    due_at: dueAt ?? null,
    last_error: error === undefined ? null : `${error.name}: ${error.message}`,
  }
}
