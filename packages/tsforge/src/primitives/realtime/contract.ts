import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { system } from '../../kernel/context.ts'
import type { Db } from '../db/index.ts'
import { defineEvent } from '../events/index.ts'
import { createRealtime } from './create-realtime.ts'
import type { RunningRealtime } from './create-realtime.ts'
import type { Position, RealtimeDriver } from './driver.ts'
import { realtimeOptions } from './options.ts'
import { defineTopic } from './topic.ts'

/** Processes over one log. */
export interface RealtimeLab {
  /** At least one; each like that of a process of its own. */
  readonly drivers: readonly RealtimeDriver[]
  /** For tickets. */
  readonly db: Db
  /** Commits an event of the kind `contract.happened`, or of another. */
  emit(data: { readonly n: number }, to: { readonly tenantId: string; readonly type?: string }): Promise<void>
  close(): Promise<void>
}

export interface RealtimeContract {
  readonly name: string
  create(): Promise<RealtimeLab>
}

export const contractHappened: ReturnType<typeof defineEvent<{ n: number }>> = defineEvent<{ n: number }>({
  type: 'contract.happened',
})
export const contractOther: ReturnType<typeof defineEvent<{ n: number }>> = defineEvent<{ n: number }>({
  type: 'contract.other',
})

const options = Object.fromEntries(
  Object.entries(realtimeOptions).map(([key, field]) => [key, (field as { defaultValue: unknown }).defaultValue]),
) as never

const patience = { timeout: 30_000, interval: 5 }

/** The exam of a realtime driver, and of streams over it. Call it in a vitest file of your own. */
export function realtimeContract({ name, create }: RealtimeContract): void {
  describe(`realtime contract: ${name}`, () => {
    let lab: RealtimeLab
    beforeAll(async () => {
      lab = await create()
      for (const driver of lab.drivers) await driver.start()
    })
    afterAll(async () => {
      for (const driver of lab.drivers) await driver.close()
      await lab.close()
    })

    const one = (): RealtimeDriver => lab.drivers[0]!
    const numbersOf = async (driver: RealtimeDriver, from: Position, more: object = {}): Promise<number[]> => {
      const numbers: number[] = []
      for (let after = from, end = false; !end;) {
        const page = await driver.read({ after, limit: 7, ...more })
        numbers.push(...page.events.map(({ data }) => (data as { n: number }).n))
        expect(page.next >= after).toBe(true)
        after = page.next
        end = page.end && page.events.length === 0
      }
      return numbers
    }

    it('gives what was emitted behind a position, in order, page by page, on every process', async () => {
      const tenantId = randomUUID()
      const from = await one().head()
      const expected = Array.from({ length: 40 }, (_, n) => n)
      for (const n of expected) await lab.emit({ n }, { tenantId })
      for (const driver of lab.drivers)
        await expect.poll(() => numbersOf(driver, from, { tenantId }), patience).toEqual(expected)
    })

    it('leaves out other kinds and other tenants, and goes on behind them', async () => {
      const [mine, theirs] = [randomUUID(), randomUUID()]
      const from = await one().head()
      for (let n = 0; n < 30; n++) {
        const type = n % 3 === 0 ? 'contract.other' : 'contract.happened'
        await lab.emit({ n }, { tenantId: n % 2 === 0 ? mine : theirs, type })
      }
      const wanted = { tenantId: mine, types: ['contract.happened'] }
      const expected = Array.from({ length: 30 }, (_, n) => n).filter((n) => n % 3 !== 0 && n % 2 === 0)
      await expect.poll(() => numbersOf(one(), from, wanted), patience).toEqual(expected)
      await expect.poll(() => numbersOf(one(), from, { types: ['contract.*'] }), patience).toHaveLength(30)
    })

    it('refuses a position of another log', async () => {
      await expect(one().read({ after: '999999999998-0000000000000001' })).rejects.toThrow(
        expect.objectContaining({ code: 'events.position_unknown' }) as Error,
      )
    })

    it('tells each process of what is new', async () => {
      const told = lab.drivers.map(() => 0)
      const ends = lab.drivers.map((driver, at) => driver.watch(() => told[at]!++))
      await lab.emit({ n: 1 }, { tenantId: randomUUID() })
      await expect.poll(() => told.every((times) => times > 0), patience).toBe(true)
      for (const end of ends) end()
    })

    it('brings a reader who is cut at random each event once and in order, wherever he comes back', async () => {
      const tenantId = randomUUID()
      const topic = defineTopic({ name: 'all', events: 'contract.**', audience: 'tenant' })
      const processes = lab.drivers.map((driver) => createRealtime(driver, { db: lab.db, topics: [topic], options }))
      const total = 400
      let lastEventId = await one().head()
      const got: number[] = []
      const visit = async (process: RunningRealtime, frames: number): Promise<void> => {
        const stream = await process.open({
          standing: { actor: system, tenantId, check: () => {}, can: () => true },
          topics: ['all'],
          lastEventId,
        })
        const out = new PassThrough()
        const { promise, resolve } = Promise.withResolvers<void>()
        let rest = ''
        let left = frames
        out.setEncoding('utf8').on('data', (text: string) => {
          const whole = (rest + text).split('\n\n')
          rest = whole.pop()!
          for (const frame of whole) {
            if (left === 0) return
            lastEventId = /^id: (.+)$/m.exec(frame)?.[1] ?? lastEventId
            const data = /^data: (.+)$/m.exec(frame)?.[1]
            if (data === undefined) continue
            got.push((JSON.parse(data) as { data: { n: number } }).data.n)
            if (--left === 0 || got.length === total) return void out.destroy()
          }
        })
        out.once('close', resolve)
        stream.open(out)
        await promise
        expect(process.streams).toBe(0)
      }
      const emitting = (async () => {
        for (let n = 0; n < total; n++) await lab.emit({ n }, { tenantId })
      })()
      while (got.length < total)
        await visit(processes[Math.floor(Math.random() * processes.length)]!, 1 + Math.floor(Math.random() * 20))
      await emitting
      expect(got).toEqual(Array.from({ length: total }, (_, n) => n))
      for (const process of processes) await process.close()
    })
  })
}
