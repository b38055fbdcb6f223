import { describe, expect, it } from 'vitest'
import { next, noteMade, numbers, pass, seen, tenantOf, until, world } from './fixture.ts'

const start = async (env?: Record<string, string>) => {
  const it = await world({ ...(env !== undefined && { env }) })
  const ada = await it.app.register()
  return {
    ...it,
    it,
    ada,
    tenant: await tenantOf({ client: it.app, user: ada }),
    [Symbol.asyncDispose]: it[Symbol.asyncDispose],
  }
}

describe('a stream', () => {
  it('tells of events from now on, each with its position, kind and CloudEvent', async () => {
    await using w = await start()
    await w.note(w.tenant, 1)
    await using stream = await w.open(w.ada, 'topics=notes')
    expect(stream.status).toBe(200)
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      connection: 'close',
    })
    expect(Object.keys(stream.headers)).not.toContain('etag')
    await w.note(w.tenant, 2)
    await w.note(w.tenant, 3)
    const first = await next(w, stream)
    const second = await next(w, stream)
    expect(numbers(stream)).toEqual([2, 3])
    expect(first).toMatchObject({ event: 'note.made', id: expect.stringMatching(/^\d{12}-\d{16}$/) as string })
    expect(JSON.parse(first!.data)).toMatchObject({
      specversion: '1.0',
      type: 'note.made',
      tenantid: w.tenant,
      data: { n: 2 },
      sequence: first!.id,
    })
    expect(second!.id > first!.id).toBe(true)
    expect(stream.retryMs).toBe(2000)
    expect(stream.text).toMatch(/^retry: 2000\nid: \d{12}-\d{16}\n\n/)
  })

  it('gives the words that a topic chooses, and one frame of an event that several topics tell of', async () => {
    await using w = await start()
    await using made = await w.open(w.ada, 'topics=made')
    await using both = await w.open(w.ada, 'topics=made,notes')
    await w.note(w.tenant, 7)
    expect(JSON.parse((await next(w, made))!.data)).toEqual({ number: 7 })
    expect(JSON.parse((await next(w, both))!.data)).toMatchObject({ type: 'note.made' })
    await w.note(w.tenant, 8)
    await next(w, both)
    expect(both.events.length).toBe(2)
  })

  it('goes on behind Last-Event-ID, from memory, from the log, from the header before the query', async () => {
    await using w = await start()
    const early = (await w.events.head()) as string
    for (let n = 1; n <= 250; n++) await w.note(w.tenant, n)
    // Nothing is in memory yet: the hub begins with the first stream.
    const all = await w.open(w.ada, 'topics=notes', { lastEventId: early })
    await until(w, () => all.events.length === 250)
    await w.note(w.tenant, 251)
    await seen(
      w,
      all,
      Array.from({ length: 251 }, (_, at) => at + 1),
    )
    all.cut()
    await all.ended
    await w.note(w.tenant, 252)
    await using again = await w.open(w.ada, `topics=notes&last_event_id=${early}`, { lastEventId: all.lastEventId })
    await next(w, again)
    expect(numbers(again)).toEqual([252])
    await using byQuery = await w.open(w.ada, `topics=notes&last_event_id=${all.events[248]!.id}`)
    await seen(w, byQuery, [250, 251, 252])
  })

  it('that got nothing yet knows where it stands, and so does one for which there was nothing', async () => {
    await using w = await start()
    const bob = await w.app.register()
    const other = await tenantOf({ client: w.app, user: bob })
    await using idle = await w.open(w.ada, 'topics=notes')
    await expect.poll(() => idle.lastEventId).not.toBe('')
    const before = idle.lastEventId
    for (let n = 1; n <= 3; n++) await w.note(other, n)
    await using theirs = await w.open(bob, 'topics=notes')
    await w.note(other, 4)
    await next(w, theirs)
    await pass(w.app, 15_000)
    await expect.poll(() => idle.text).toContain('\n: \n')
    await expect.poll(() => idle.lastEventId > before).toBe(true)
    expect(idle.events).toEqual([])
  })

  it('is told that its position is lost, and goes on from now', async () => {
    await using w = await start()
    await using stream = await w.open(w.ada, 'topics=notes', { lastEventId: '999999999999-0000000000000001' })
    expect(await next(w, stream)).toMatchObject({ event: 'reset', data: '{"reason":"position_lost"}' })
    await w.note(w.tenant, 1)
    expect(await next(w, stream)).toMatchObject({ event: 'note.made' })
    expect(stream.lastEventId < '9').toBe(true)
  })

  it('shows signs of life every fifteen seconds', async () => {
    await using w = await start()
    await using stream = await w.open(w.ada, 'topics=notes')
    const beats = () => stream.text.split(': \n').length - 1
    for (let round = 1; round <= 3; round++) {
      await pass(w.app, 15_000)
      await expect.poll(beats).toBe(round)
    }
  })

  it('is cut when its reader falls behind, and goes on where that one was: nothing is left out', async () => {
    await using w = await start({ FORGE_REALTIME_BUFFER: '64kb' })
    const text = 'x'.repeat(30_000)
    await using stream = await w.open(w.ada, 'topics=notes')
    await expect.poll(() => stream.lastEventId).not.toBe('')
    stream.pause()
    let sent = 0
    // Until the buffers of the kernel, on both sides, and ours are full.
    while (w.realtime.streams === 1 && sent < 2000) {
      await w.note(w.tenant, ++sent, text)
      await w.app.clock.advance(10)
    }
    expect(sent).toBeLessThan(2000)
    expect(w.app.metrics.render()).toContain('forge_realtime_closed_total{reason="slow"} 1')
    stream.resume()
    await stream.ended
    const before = numbers(stream)
    expect(before.length).toBeLessThan(sent)
    await using again = await w.open(w.ada, 'topics=notes', { lastEventId: stream.lastEventId })
    await until(w, () => before.length + again.events.length === sent)
    expect([...before, ...numbers(again)]).toEqual(Array.from({ length: sent }, (_, at) => at + 1))
  })

  it('is not cut because much happens at once, if its reader takes it', async () => {
    await using w = await start({ FORGE_REALTIME_BUFFER: '64kb', FORGE_REALTIME_BUFFER_EVENTS: '20' })
    await using stream = await w.open(w.ada, 'topics=notes')
    const text = 'x'.repeat(3000)
    const items = Array.from({ length: 900 }, (_, n) => ({ data: { n, text }, tenantId: w.tenant }))
    await w.events.emitMany(w.app.db, noteMade, items)
    await until(w, () => stream.events.length === 900)
    expect(w.realtime.streams).toBe(1)
  })

  it('ends with a word on when to come back when the app stops, which does not wait for it', async () => {
    const w = await start()
    const stream = await w.open(w.ada, 'topics=notes')
    await expect.poll(() => stream.lastEventId).not.toBe('')
    await w.app.stop()
    await stream.ended
    expect(stream.text).toMatch(/retry: \d+\n\n$/)
    expect(stream.text.match(/retry: /g)!.length).toBe(2)
    await w[Symbol.asyncDispose]()
  })
})
