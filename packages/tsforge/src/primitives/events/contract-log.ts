import { describe, expect, it } from 'vitest'
import { eventOf, numbered, numberOf } from './contract-exam.ts'
import type { Exam } from './contract-exam.ts'
import { positionOf } from './driver.ts'
import type { NewEvent, Position } from './driver.ts'
import { eventsErrors } from './errors.ts'
import { matching } from './match.ts'

const tenant = '0197d7a0-0000-7000-8000-000000000001'

/** What every log promises. */
export function logQuestions(exam: Exam): void {
  describe('the log', () => {
    it('gives events as they were emitted', async () => {
      const full: NewEvent = eventOf({
        type: 'order.placed',
        version: 3,
        source: '/shop',
        data: '{"text":"Größe \\ud83d\\ude00","n":1.50}',
        subject: 'order 1',
        key: 'k',
        tenantId: tenant,
        actor: 'user:1',
        trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      })
      const plain = eventOf()
      await exam.emit(full, plain)
      const [first, second] = await exam.all()
      const { sequence, time, ...rest } = first!
      expect(rest).toEqual({
        specversion: '1.0',
        id: full.id,
        source: '/shop',
        type: 'order.placed',
        subject: 'order 1',
        datacontenttype: 'application/json',
        data: { text: 'Größe 😀', n: 1.5 },
        dataversion: 3,
        tenantid: tenant,
        actor: 'user:1',
        traceparent: full.trace,
        partitionkey: 'k',
      })
      expect(new Date(time).toISOString()).toBe(time)
      expect(sequence < second!.sequence).toBe(true)
      expect(Object.keys(second!).sort()).toEqual(
        ['data', 'datacontenttype', 'dataversion', 'id', 'sequence', 'source', 'specversion', 'time', 'type'].sort(),
      )
    })

    it('has nothing of a transaction that was rolled back', async () => {
      const before = await exam.driver.head()
      await expect(
        exam.lab.tx(async (tx) => {
          await exam.driver.append([eventOf()], tx)
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      expect(await exam.all()).toEqual([])
      expect(await exam.driver.head()).toBe(before)
    })

    it('has nothing of a savepoint that was undone, and what stands around it', async () => {
      await exam.lab.tx(async (tx) => {
        await exam.driver.append([numbered(1)], tx)
        await tx
          .savepoint(async (inner) => {
            await exam.driver.append([numbered(2)], inner)
            throw new Error('undone')
          })
          .catch(() => undefined)
        await tx.savepoint((inner) => exam.driver.append([numbered(3)], inner))
      })
      expect((await exam.all()).map(numberOf)).toEqual([1, 3])
    })

    it('is read in parts, each event once and in order', async () => {
      for (let n = 0; n < 25; n += 5) await exam.emit(...Array.from({ length: 5 }, (_, i) => numbered(n + i)))
      const seen: number[] = []
      let after: Position | undefined
      for (let end = false; !end;) {
        const page = await exam.driver.read({ after, limit: 3 })
        seen.push(...page.events.map(numberOf))
        expect(page.next).toBe(page.events.at(-1)?.sequence ?? after)
        ;({ next: after, end } = page)
      }
      expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => n))
      await exam.emit(numbered(25))
      expect((await exam.all(after)).map(numberOf)).toEqual([25])
    })

    it('has a head behind which there is nothing but what comes later', async () => {
      await exam.emit(numbered(1), numbered(2))
      const head = await exam.driver.head()
      expect((await exam.all()).at(-1)!.sequence).toBe(head)
      expect(await exam.driver.read({ after: head, limit: 10 })).toMatchObject({ events: [], next: head, end: true })
      await exam.emit(numbered(3))
      expect((await exam.all(head)).map(numberOf)).toEqual([3])
      expect((await exam.driver.head()) > head).toBe(true)
    })

    it('gives those of the kinds and the tenant that are asked for, and says where to go on', async () => {
      await exam.emit(
        numbered(1, { type: 'order.placed' }),
        numbered(2, { type: 'order.paid', tenantId: tenant }),
        numbered(3, { type: 'order.line.added', tenantId: tenant }),
        numbered(4, { type: 'note.made', tenantId: tenant }),
      )
      const of = async (to: string | string[], more: object = {}): Promise<number[]> =>
        (await exam.all(undefined, { match: matching(to), ...more })).map(numberOf)
      expect(await of('order.paid')).toEqual([2])
      expect(await of('order.*')).toEqual([1, 2])
      expect(await of('order.**')).toEqual([1, 2, 3])
      expect(await of(['*.made', 'order.placed'])).toEqual([1, 4])
      expect(await of('**', { tenantId: tenant })).toEqual([2, 3, 4])
      expect(await of('order.*', { tenantId: tenant })).toEqual([2])
      expect(await of('orderxpaid')).toEqual([])
      const none = await exam.driver.read({ after: undefined, limit: 10, match: matching('other') })
      expect(none).toEqual({ events: [], next: await exam.driver.head(), end: true })
    })

    it('refuses positions that it has never given', async () => {
      const far = positionOf({ window: 999_999, seq: 1 })
      const answer = await exam.driver.read({ after: far, limit: 1 }).catch((error: unknown) => error)
      expect(eventsErrors.is(answer, 'events.position_unknown')).toBe(true)
    })

    it('tells listeners of commits', async () => {
      const told = Promise.withResolvers<void>()
      const stop = await exam.driver.listen(() => told.resolve())
      await exam.driver.await('0197d7a0-0000-7000-8000-00000000000a', 60_000)
      await exam.emit(eventOf())
      if (exam.driver.capabilities.listen) await told.promise
      await stop()
      await exam.driver.await('0197d7a0-0000-7000-8000-00000000000a', 0)
    })

    it('keeps what is not old', async () => {
      await exam.emit(numbered(1))
      await exam.emit(numbered(2))
      const day = 86_400_000
      await exam.driver.maintain({ retentionMs: 7 * day, deadMs: 7 * day })
      expect((await exam.all()).map(numberOf)).toEqual([1, 2])
    })
  })
}
