import { describe, expect, it } from 'vitest'
import { leaseMs, numbered, numberOf, parkOf } from './contract-exam.ts'
import type { Exam } from './contract-exam.ts'
import type { Lease, Position, Report } from './driver.ts'

const cold: Omit<Report, 'cursor'> = { park: [], retried: [] }

/** What every store promises to those who handle events. */
export function subscriptionQuestions(exam: Exam): void {
  const claim = async (name: string, holder = 'me'): Promise<Lease> => {
    await exam.driver.declare([{ name, from: 'start' }])
    const [lease] = await exam.driver.claim([name], holder, leaseMs)
    return lease!
  }

  describe('a subscription', () => {
    it('begins where it was declared to, once', async () => {
      await exam.emit(numbered(1))
      await exam.driver.declare([
        { name: 'all', from: 'start' },
        { name: 'new', from: 'now' },
      ])
      await exam.emit(numbered(2))
      await exam.driver.declare([{ name: 'new', from: 'start' }])
      const [all] = await exam.driver.claim(['all'], 'me', leaseMs)
      const [fresh] = await exam.driver.claim(['new'], 'me', leaseMs)
      expect((await exam.all(all!.cursor)).map(numberOf)).toEqual([1, 2])
      expect((await exam.all(fresh!.cursor)).map(numberOf)).toEqual([2])
    })

    it('is held by one, until its lease ends or is handed back', async () => {
      const mine = await claim('s')
      expect(await exam.driver.claim(['s'], 'other', leaseMs)).toEqual([])
      await exam.lab.pass(leaseMs / 2)
      expect(await exam.driver.renew('me', leaseMs)).toEqual([{ name: 's', fence: mine.fence }])
      await exam.lab.pass(leaseMs / 2 + 1)
      expect(await exam.driver.claim(['s'], 'other', leaseMs)).toEqual([])
      await exam.lab.pass(leaseMs / 2)
      const [theirs] = await exam.driver.claim(['s'], 'other', leaseMs)
      expect(theirs!.fence).toBeGreaterThan(mine.fence)
      expect(await exam.driver.renew('me', leaseMs)).toEqual([])
      await exam.driver.release([mine])
      expect(await exam.driver.claim(['s'], 'third', leaseMs)).toEqual([])
      await exam.driver.release([theirs!])
      expect(await exam.driver.claim(['s'], 'third', leaseMs)).toHaveLength(1)
    })

    it('moves on, and not for who has lost it', async () => {
      await exam.emit(numbered(1), numbered(2))
      const [first, second] = await exam.all()
      const old = await claim('s')
      expect(await exam.driver.settle(old, { cursor: first!.sequence, ...cold })).toEqual({ held: true, freed: [] })
      await exam.driver.release([old])
      const now = await claim('s', 'other')
      expect(now.cursor).toBe(first!.sequence)
      const late = { cursor: second!.sequence, park: [parkOf(second!)], retried: [] }
      expect(await exam.driver.settle(old, late)).toEqual({ held: false, freed: [] })
      expect(await exam.driver.due('s', 10)).toMatchObject({ waiting: 0 })
      await exam.driver.release([now])
      expect((await claim('s')).cursor).toBe(first!.sequence)
    })

    it('parks what failed and what stands behind it, and gives the first of each key when its time has come', async () => {
      await exam.emit(
        numbered(1, { key: 'a' }),
        numbered(2, { key: 'b' }),
        numbered(3, { key: 'a' }),
        numbered(4, { key: 'a' }),
        numbered(5),
      )
      const events = await exam.all()
      const lease = await claim('s')
      const [one, two, three, four, five] = events
      const cursor = five!.sequence
      const error = { name: 'Error', message: 'no \0 \ud800' }
      const park = [
        parkOf(one!, { error }),
        parkOf(three!, { attempt: 0 }),
        parkOf(two!, { delayMs: 300_000 }),
        parkOf(five!, { dead: true, error: { name: 'Discard', message: 'bad' } }),
      ]
      expect(await exam.driver.settle(lease, { cursor, park, retried: [] })).toMatchObject({ held: true })
      await exam.driver.settle(lease, { cursor, park: [parkOf(four!, { attempt: 0 })], retried: [] })
      expect((await exam.driver.blocked('s')).toSorted()).toEqual(['a', 'b'])
      const soon = await exam.driver.due('s', 10)
      expect(soon).toMatchObject({ events: [], waiting: 4 })
      expect(soon.nextMs).toBeGreaterThan(0)
      expect(soon.nextMs).toBeLessThanOrEqual(60_000)
      await exam.lab.pass(60_001)
      expect((await exam.driver.due('s', 10)).events).toEqual([{ event: one, attempt: 1 }])
      const retry = (n: number, as: 'done' | 'failed' | 'dead') =>
        exam.driver.settle(lease, {
          cursor,
          park: [],
          retried: [
            { position: events[n - 1]!.sequence, as, delayMs: 60_000, error: as === 'done' ? undefined : error },
          ],
        })
      expect(await retry(1, 'failed')).toEqual({ held: true, freed: [] })
      expect((await exam.driver.due('s', 10)).events).toEqual([])
      await exam.lab.pass(60_001)
      expect((await exam.driver.due('s', 10)).events).toEqual([{ event: one, attempt: 2 }])
      expect(await retry(1, 'dead')).toEqual({ held: true, freed: [] })
      expect((await exam.driver.due('s', 10)).events).toEqual([{ event: three, attempt: 0 }])
      expect(await retry(3, 'done')).toEqual({ held: true, freed: [] })
      expect((await exam.driver.due('s', 10)).events.map(({ event }) => event)).toEqual([four])
      expect(await retry(4, 'done')).toEqual({ held: true, freed: ['a'] })
      expect(await exam.driver.blocked('s')).toEqual(['b'])
      const dead = await exam.driver.listParked({ filter: { state: 'dead' }, limit: 10 })
      expect(dead).toMatchObject([
        { subscription: 's', event: one, attempt: 3, state: 'dead', error: { name: 'Error' } },
        { subscription: 's', event: five, state: 'dead', error: { message: 'bad' } },
      ])
    })

    it('gives what waits behind a key that was freed meanwhile a time of its own', async () => {
      await exam.emit(numbered(1, { key: 'a' }), numbered(2, { key: 'a' }))
      const [one, two] = await exam.all()
      const lease = await claim('s')
      const cursor = two!.sequence
      await exam.driver.settle(lease, { cursor, park: [parkOf(one!, { delayMs: 0 })], retried: [] })
      const done = { position: one!.sequence, as: 'done' as const, delayMs: 0 }
      const both = { cursor, park: [parkOf(two!, { attempt: 0 })], retried: [done] }
      expect(await exam.driver.settle(lease, both)).toEqual({ held: true, freed: [] })
      expect((await exam.driver.due('s', 10)).events).toEqual([{ event: two, attempt: 0 }])
    })

    it('tells who comes after a killed one what the log gives once more, of all that waits', async () => {
      await exam.emit(...Array.from({ length: 6 }, (_, n) => numbered(n, n < 4 ? {} : { key: 'a' })))
      const [one, two, three, four, five, six] = await exam.all()
      const lease = await claim('s')
      const other = await claim('other')
      const park = [
        parkOf(one!),
        parkOf(three!),
        parkOf(four!, { dead: true }),
        parkOf(five!),
        parkOf(six!, { attempt: 0 }),
      ]
      await exam.driver.settle(lease, { cursor: two!.sequence, park, retried: [] })
      await exam.driver.settle(other, { cursor: other.cursor, park: [parkOf(two!)], retried: [] })
      const behind = async (name: string, { cursor }: Lease): Promise<readonly Position[]> =>
        (await exam.driver.besides(name, cursor)).toSorted()
      await exam.lab.pass(leaseMs + 1)
      const [heir] = await exam.driver.claim(['s'], 'heir', leaseMs)
      expect(heir!.cursor).toBe(two!.sequence)
      expect(await behind('s', heir!)).toEqual([three!.sequence, five!.sequence, six!.sequence])
      expect(await behind('s', lease)).toEqual([one, three, five, six].map((event) => event!.sequence))
      expect(await behind('other', other)).toEqual([two!.sequence])
      const retried = [{ position: three!.sequence, as: 'done' as const, delayMs: 0 }]
      await exam.driver.settle(heir!, { cursor: five!.sequence, park: [], retried })
      expect(await behind('s', { ...heir!, cursor: five!.sequence })).toEqual([six!.sequence])
      expect(await behind('s', heir!)).toEqual([five!.sequence, six!.sequence])
    })

    it('delivers dead events again, one or many, at a rate, or forgets them', async () => {
      await exam.emit(...Array.from({ length: 5 }, (_, n) => numbered(n)))
      const events = await exam.all()
      const lease = await claim('s')
      const park = events.map((event) => parkOf(event, { dead: true }))
      await exam.driver.settle(lease, { cursor: events.at(-1)!.sequence, park, retried: [] })
      const { id } = events[2]!
      expect(await exam.driver.redrive({ filter: { subscription: 'other', id } })).toBe(0)
      expect(await exam.driver.redrive({ filter: { subscription: 's', id } })).toBe(1)
      expect((await exam.driver.due('s', 10)).events).toEqual([{ event: events[2], attempt: 0 }])
      expect(await exam.driver.redrive({ filter: {}, limit: 2, perSecond: 0.001 })).toBe(2)
      expect((await exam.driver.due('s', 10)).events).toHaveLength(2)
      await exam.lab.pass(1_000_000)
      expect((await exam.driver.due('s', 10)).events).toHaveLength(3)
      expect((await exam.driver.due('s', 2)).events).toHaveLength(2)
      const left = await exam.driver.listParked({ filter: { state: 'dead' }, limit: 1 })
      expect(left.map(({ event }) => numberOf(event))).toEqual([3])
      const after = ['s', left[0]!.event.sequence] as const
      const rest = await exam.driver.listParked({ filter: { state: 'dead' }, limit: 10, after })
      expect(rest.map(({ event }) => numberOf(event))).toEqual([4])
      expect(await exam.driver.removeDead({ subscription: 's' })).toBe(2)
      expect(await exam.driver.listParked({ filter: {}, limit: 10 })).toHaveLength(3)
    })

    it('does work once for each event', async () => {
      await exam.emit(numbered(1))
      const [event] = await exam.all()
      await claim('s')
      await claim('other')
      const once = (name: string, work: () => Promise<string>) => exam.driver.once(name, event!.id, work)
      await expect(
        once('s', async () => {
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      expect(await once('s', async () => 'done')).toBe('done')
      expect(await once('s', async () => 'again')).toBeUndefined()
      expect(await once('other', async () => 'done')).toBe('done')
    })

    it('commits its place together with the work', async () => {
      await exam.emit(numbered(1), numbered(2))
      const [one, two] = await exam.all()
      const lease = await claim('s')
      expect(await exam.driver.commit(lease, one!.sequence, async () => {})).toBe(true)
      await expect(
        exam.driver.commit(lease, two!.sequence, async () => {
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      await exam.driver.release([lease])
      expect(await exam.driver.commit(lease, two!.sequence, async () => {}).catch(() => false)).toBe(false)
      expect((await claim('s')).cursor).toBe(one!.sequence)
    })

    it('goes back to where it is told, and whoever had it has lost it', async () => {
      await exam.emit(numbered(1), numbered(2))
      const [one, two] = await exam.all()
      const lease = await claim('s')
      await exam.driver.settle(lease, { cursor: two!.sequence, ...cold })
      expect(await exam.driver.seek('s', one!.sequence)).toBe(true)
      expect(await exam.driver.seek('unknown', one!.sequence)).toBe(false)
      expect(await exam.driver.settle(lease, { cursor: two!.sequence, ...cold })).toMatchObject({ held: false })
      expect((await claim('s')).cursor).toBe(one!.sequence)
    })

    it('tells how it is', async () => {
      const lease = await claim('s')
      await exam.emit(numbered(1), numbered(2), numbered(3))
      const [one, two] = await exam.all()
      expect(await exam.driver.status()).toMatchObject([{ name: 's', lag: 3, waiting: 0, dead: 0, holder: 'me' }])
      const park = [parkOf(one!), parkOf(two!, { dead: true })]
      await exam.driver.settle(lease, { cursor: await exam.driver.head(), park, retried: [] })
      await exam.driver.release([lease])
      expect(await exam.driver.status()).toMatchObject([
        { name: 's', lag: 0, lagMs: 0, waiting: 1, dead: 1, holder: undefined },
      ])
    })
  })
}
