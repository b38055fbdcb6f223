import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { uuidv7 } from '../../kernel/ids.ts'
import type { LoggedEvent, Sink } from '../events/index.ts'
import { createSink } from './create-sink.ts'
import type { SinkOptions } from './create-sink.ts'
import type { SinkDriver } from './driver.ts'
import { SinkError } from './errors.ts'

/** A message as the broker has it. */
export interface StoredMessage {
  /** As the broker itself knows it, or that of the event. */
  readonly id: string
  readonly to: string
  /** Where the protocol has one. */
  readonly contentType?: string
  /** Of binary mode, without the prefix of the protocol. */
  readonly attributes: Readonly<Record<string, string>>
  readonly body: string
}

/** A broker for the contract alone. */
export interface SinkLab extends AsyncDisposable {
  driver(): SinkDriver
  /** Addresses that the broker takes; one of each is used. */
  readonly addresses: readonly [string, string]
  /** An address whose messages it refuses, while it takes others of the same batch. */
  readonly refused?: string
  /** All that it has, oldest first. */
  stored(): Promise<readonly StoredMessage[]>
  /** It dies by SIGKILL and comes back with what it had written down. */
  readonly crash?: { kill(): Promise<void>; start(): Promise<void> }
}

export interface SinkContract {
  readonly name: string
  create(): Promise<SinkLab>
  /** What the lab has no way to bring about: the promises that need it are left out. */
  readonly without?: readonly ('crash' | 'refused')[]
}

let count = 0

/** An event as it comes out of the log. */
export function loggedEvent(changes: Partial<LoggedEvent> = {}): LoggedEvent {
  count += 1
  return {
    specversion: '1.0',
    id: uuidv7(),
    source: '/shop',
    type: 'order.placed',
    subject: `order ${count}, Größe "L" 100%`,
    time: '2026-01-02T03:04:05.678Z',
    datacontenttype: 'application/json',
    data: { number: count, text: 'Grüße, 世界 🙂\r\n' },
    dataversion: 1,
    tenantid: '0197aaaa-0000-7000-8000-000000000001',
    sequence: `000000000001-${String(count).padStart(13, '0')}`,
    ...changes,
  } as LoggedEvent
}

const never = new AbortController().signal
/** For brokers that are well, on a machine that may be busy. */
const patienceMs = 30_000
const ids = (events: readonly { readonly id: string }[]): string[] => events.map(({ id }) => id)

async function failureOf(work: Promise<void>): Promise<SinkError> {
  const error = await work.then(
    () => undefined,
    (fault: unknown) => fault,
  )
  if (!(error instanceof SinkError)) throw new Error('expected a SinkError', { cause: error })
  return error
}

/** The exam of a sink driver, and of the facade over it. Call it in a vitest file of your own. */
export function sinkContract({ name, create, without = [] }: SinkContract): void {
  describe(`sink contract: ${name}`, () => {
    let lab: SinkLab
    const open: Sink[] = []
    const sinkTo = (options: SinkOptions = {}): Sink => {
      const sink = createSink(lab.driver(), { to: lab.addresses[0], deadlineMs: patienceMs, ...options })
      open.push(sink)
      return sink
    }
    const storedOf = async (events: readonly LoggedEvent[]): Promise<readonly StoredMessage[]> => {
      const wanted = new Set(ids(events))
      return (await lab.stored()).filter(({ id }) => wanted.has(id))
    }
    const keyed = (keys: number, each: number): LoggedEvent[] =>
      Array.from({ length: keys * each }, (_, n) => loggedEvent({ partitionkey: `key ${n % keys}` }))

    beforeAll(async () => {
      lab = await create()
    }, 180_000)
    afterAll(async () => {
      await Promise.all(open.map((sink) => sink.close()))
      await lab?.[Symbol.asyncDispose]()
    }, 30_000)

    it('stores the whole event as JSON by default', async () => {
      const event = loggedEvent({ partitionkey: 'a', actor: 'user:1' })
      await sinkTo().publish([event], never)
      const [stored, ...more] = await storedOf([event])
      expect(more).toEqual([])
      expect(JSON.parse(stored!.body)).toEqual(event)
      expect(stored!.to).toBe(lab.addresses[0])
      expect(stored!.attributes).toEqual({})
      if (stored!.contentType !== undefined)
        expect(stored!.contentType).toBe('application/cloudevents+json; charset=utf-8')
    })

    it('stores attributes beside the data in binary mode', async () => {
      const event = loggedEvent({ partitionkey: 'a' })
      await sinkTo({ mode: 'binary' }).publish([event], never)
      const [stored] = await storedOf([event])
      const { data, datacontenttype, ...attributes } = event
      expect(JSON.parse(stored!.body)).toEqual(data)
      expect(stored!.attributes).toEqual({ ...attributes, dataversion: '1' })
      if (stored!.contentType !== undefined) expect(stored!.contentType).toBe(datacontenttype)
    })

    it('sends each event where its address says', async () => {
      const batch = [loggedEvent(), loggedEvent(), loggedEvent()]
      await sinkTo({ to: ({ id }) => lab.addresses[id === batch[1]!.id ? 1 : 0] }).publish(batch, never)
      const at = new Map((await storedOf(batch)).map(({ id, to }) => [id, to]))
      expect(batch.map(({ id }) => at.get(id))).toEqual([lab.addresses[0], lab.addresses[1], lab.addresses[0]])
    })

    it('takes no events as nothing to do', async () => {
      await sinkTo().publish([], never)
    })

    it('keeps the order of each key in a large batch', async () => {
      const batch = keyed(5, 40)
      await sinkTo().publish(batch, never)
      const order = ids(await storedOf(batch))
      expect(order).toHaveLength(batch.length)
      for (let key = 0; key < 5; key += 1) {
        const mine = ids(batch.filter(({ partitionkey }) => partitionkey === `key ${key}`))
        expect(order.filter((id) => mine.includes(id))).toEqual(mine)
      }
    })

    const refusals = (): void => {
      it('names what the broker refuses and what waits behind it, and stores the rest', async () => {
        const [a1, a2, a3, b, free] = [...[1, 2, 3].map(() => 'a'), 'b', undefined].map((key) =>
          loggedEvent(key === undefined ? {} : { partitionkey: key }),
        ) as [LoggedEvent, LoggedEvent, LoggedEvent, LoggedEvent, LoggedEvent]
        const bad = loggedEvent()
        const sink = sinkTo({ to: ({ id }) => (id === a2.id || id === bad.id ? lab.refused! : lab.addresses[0]) })
        const batch = [a1, a2, bad, a3, b, free]
        const error = await failureOf(sink.publish(batch, never))
        expect(error.code).toBe('sinks.unconfirmed')
        // A driver that stores a batch at once keeps the order of a key within one address.
        const waiting = lab.driver().capabilities.atomicPerKey ? [] : [a3.id]
        expect(new Set(error.unconfirmed)).toEqual(new Set([a2.id, bad.id, ...waiting]))
        const left = new Set(error.unconfirmed)
        expect(new Set(error.refused)).toEqual(new Set([a2.id, bad.id]))
        const stored = ids(await storedOf(batch))
        expect(new Set(stored)).toEqual(new Set(ids(batch).filter((id) => !left.has(id))))
      })

      it('stores what comes after a refusal', async () => {
        const [bad, good] = [loggedEvent(), loggedEvent()]
        const sink = sinkTo({ to: ({ id }) => (id === bad.id ? lab.refused! : lab.addresses[0]) })
        await failureOf(sink.publish([bad], never))
        await sink.publish([good], never)
        expect(await storedOf([bad, good])).toHaveLength(1)
      })
    }
    if (!without.includes('refused')) refusals()

    it('refuses to publish for who has gone, and once it is closed', async () => {
      const batch = [loggedEvent(), loggedEvent()]
      const sink = sinkTo()
      expect((await failureOf(sink.publish(batch, AbortSignal.abort()))).unconfirmed).toEqual(ids(batch))
      await sink.publish([loggedEvent()], never)
      await sink.close()
      await sink.close()
      expect(await failureOf(sink.publish(batch, never))).toMatchObject({
        code: 'sinks.unavailable',
        unconfirmed: ids(batch),
      })
      expect(await storedOf(batch)).toEqual([])
    })

    const survival = (): void => {
      it('loses nothing that it confirmed when the broker is killed in mid-batch, and goes on by itself', async () => {
        const crash = lab.crash!
        const batch = keyed(4, 100)
        const sink = createSink(killingAt(30, lab.driver(), crash.kill), {
          to: lab.addresses[0],
          deadlineMs: patienceMs,
        })
        open.push(sink)
        await sink.publish([loggedEvent()], never)
        const error = await sink.publish(batch, never).catch((fault: SinkError) => fault)
        const unconfirmed = new Set(error?.unconfirmed ?? [])
        // A batch that is sent as a whole may be faster than the kill.
        if (!lab.driver().capabilities.atomicPerKey) expect(unconfirmed.size).toBeGreaterThan(0)
        const confirmed = batch.filter(({ id }) => !unconfirmed.has(id))

        const again = loggedEvent()
        const away = await failureOf(sink.publish([again], never))
        expect(away).toMatchObject({ code: 'sinks.unavailable', unconfirmed: [again.id], refused: [] })

        await crash.start()
        const survived = new Set(ids(await storedOf(batch)))
        expect(ids(confirmed).filter((id) => !survived.has(id))).toEqual([])
        let left = batch.filter(({ id }) => unconfirmed.has(id))
        const sendAgain = async (): Promise<void> => {
          const fault = await sink.publish(left, never).catch((caught: SinkError) => caught)
          left = left.filter(({ id }) => fault?.unconfirmed.includes(id))
          expect(left).toEqual([])
        }
        await vi.waitFor(sendAgain, { timeout: 60_000, interval: 50 })
        const order = ids(await storedOf(batch))
        expect(new Set(order)).toEqual(new Set(ids(batch)))
        if (lab.driver().capabilities.deduplicates) expect(order).toHaveLength(batch.length)
        for (let key = 0; key < 4; key += 1) {
          const mine = ids(batch.filter(({ partitionkey }) => partitionkey === `key ${key}`))
          expect([...new Set(order)].filter((id) => mine.includes(id))).toEqual(mine)
        }
      }, 300_000)
    }
    if (!without.includes('crash')) survival()
  })
}

/** Kills the broker when so many of a batch are confirmed; where a batch is sent as a whole, while it is on its way. */
function killingAt(confirmations: number, driver: SinkDriver, kill: () => Promise<void>): SinkDriver {
  let seen = 0
  let killed: Promise<void> | undefined
  return {
    name: driver.name,
    capabilities: driver.capabilities,
    async send(messages, signal) {
      const sending = driver.send(messages, signal)
      if (messages.length > 1) killed ??= kill()
      await Promise.allSettled([sending, killed])
      const outcomes = await sending
      seen += outcomes.filter((outcome) => outcome === 'confirmed').length
      if (seen >= confirmations) await (killed ??= kill())
      return outcomes
    },
    close: () => driver.close(),
  }
}
