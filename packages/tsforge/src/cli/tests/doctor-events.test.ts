import { describe, expect, it } from 'vitest'
import { createEvents, defineEvent } from '../../primitives/events/index.ts'
import { memory } from '../../primitives/events/drivers/memory.ts'
import { postgresLab } from '../../primitives/events/tests/lab.ts'
import { examineEvents } from '../doctor/events.ts'

const happened = defineEvent<number>({ type: 'thing.happened' })

describe('doctor, about events', () => {
  it('has nothing to say about a log that nobody else sees', async () => {
    expect(await examineEvents(createEvents(memory()))).toMatchObject({ state: 'ok' })
  })

  it('tells how subscriptions are, who is behind and what has died', async () => {
    const lab = await postgresLab()
    const { driver, db } = lab
    const events = createEvents(driver)
    await driver.declare([{ name: 'search', from: 'start' }])
    expect(await examineEvents(events)).toEqual({
      name: 'events',
      state: 'ok',
      detail: '1 subscription, 0 waiting, 0 dead',
    })
    await events.emit(db, happened, 1)
    const { events: found } = await events.read({ after: undefined })
    await db.query(`update forge_events_windows set from_at = from_at - interval '10 minutes'`)
    expect(await examineEvents(events)).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('behind: search'),
    })
    const [lease] = await driver.claim(['search'], 'me', 1000)
    const park = [{ event: found[0]!, attempt: 1, delayMs: 0, dead: true }]
    await driver.settle(lease!, { cursor: found[0]!.sequence, park, retried: [] })
    expect(await examineEvents(events)).toMatchObject({ state: 'warning', detail: expect.stringContaining('1 dead') })
    await lab.pass(2 * 86_400_000)
    expect((await examineEvents(events)).detail).toContain('not seen for a day: search')
    await lab.close()
  })
})
