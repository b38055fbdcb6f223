import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openEventStream } from 'tsforge/testing'
import { startTcpProxy } from 'tsforge/testing/tcp-proxy'
import { hasChromium, openChromium } from './chromium.ts'
import { cheapHashes, login, register, someone } from './people.ts'
import { appFolder, eventually, launch } from './product.ts'
import type { AppFolder, Product } from './product.ts'

/** For requests that do not end a stop waits longer than any test. */
const patient = { FORGE_HTTP_CLOSE_TIMEOUT: '5m', FORGE_SHUTDOWN_TIMEOUT: '10m' }

// Another origin than that of the app.
const pages = createServer((_, res) =>
  res.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>'),
)
let origin: string
let folder: AppFolder
let products: readonly Product[]
beforeAll(async () => {
  await new Promise<void>((done) => pages.listen(0, '127.0.0.1', done))
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`
  folder = await appFolder()
  const env = { ...cheapHashes, FORGE_CORS_ORIGINS: origin, FORGE_LOG_LEVEL: 'info', ...patient }
  const one = await launch({ root: folder.root, env })
  products = [one, await launch({ root: folder.root, env })]
})
afterAll(async () => {
  for (const product of products.toReversed()) await product[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
  pages.close()
})

const arrive = async (email = someone()): Promise<string> =>
  (await register(products[0]!, email)).body.data.tokens.access_token
const write = async (product: Product, token: string, title: string): Promise<void> => {
  const { status } = await product.ask('POST', '/api/v1/notes', { token, body: { title, body: '' } })
  if (status !== 201) throw new Error(`a note was answered with ${status}`)
}
const titleOf = (event: { readonly data: string }): string =>
  (JSON.parse(event.data) as { data: { title: string } }).data.title

describe('streams of two processes on one database', () => {
  it('show a client that is cut again and again each event once and in order, and nothing of others', async () => {
    const [ada, bob] = [await arrive(), await arrive()]
    const proxies = await Promise.all(products.map(({ url }) => startTcpProxy(Number(new URL(url).port))))
    const total = process.env['FORGE_TEST_LONG'] === '1' ? 2000 : 200
    const titles = Array.from({ length: total }, (_, n) => `note ${n}`)
    const open = (lastEventId: string, at: number) =>
      openEventStream(`http://127.0.0.1:${proxies[at % 2]!.port}/api/v1/stream?topics=notes`, {
        token: ada,
        lastEventId,
      })
    const seen: string[] = []
    const ids: string[] = []
    let lastEventId = ''
    let cuts = 0
    let stream = await open(lastEventId, 0)
    const writing = (async () => {
      for (const [n, title] of titles.entries()) {
        await write(products[n % 2]!, ada, title)
        if (n % 10 === 0) await write(products[n % 2]!, bob, `of bob ${n}`)
      }
    })()
    while (seen.length < total) {
      for (let left = 1 + Math.floor(Math.random() * 8); left > 0 && seen.length < total; left--) {
        const event = await stream.next()
        if (event === undefined) break
        seen.push(titleOf(event))
        ids.push(event.id)
      }
      // The network resets it, wherever in a frame it is.
      const proxy = proxies[cuts++ % 2]!
      proxy.set({ kind: 'cut' })
      await stream.ended
      for (const event of stream.events.slice(stream.events.findIndex(({ id }) => id === ids.at(-1)) + 1)) {
        if (ids.includes(event.id)) continue
        seen.push(titleOf(event))
        ids.push(event.id)
      }
      lastEventId = stream.lastEventId
      proxy.set({ kind: 'open' })
      if (seen.length < total) stream = await open(lastEventId, cuts)
    }
    await writing
    expect(seen).toEqual(titles)
    expect(ids).toEqual([...new Set(ids)].toSorted())
    expect(cuts).toBeGreaterThan(10)
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]()
  }, 300_000)

  it('end within 5 s after the session was revoked elsewhere', async () => {
    const email = someone()
    const victim = await arrive(email)
    const owner = (await login(products[1]!, email)).body.data.tokens.access_token
    await using stream = await openEventStream(`${products[0]!.url}/api/v1/stream?topics=notes`, { token: victim })
    await using stays = await openEventStream(`${products[0]!.url}/api/v1/stream?topics=notes`, { token: owner })
    let ended = false
    void stream.ended.then(() => (ended = true))
    expect((await products[1]!.ask('DELETE', '/api/v1/me/sessions', { token: owner })).status).toBe(200)
    // The five seconds, and what a busy machine takes to tell.
    await eventually(() => ended, 15_000)
    await write(products[1]!, owner, 'still here')
    expect(titleOf((await stays.next())!)).toBe('still here')
  })

  it.runIf(hasChromium)('show a page of another origin its events, with a ticket, also after a cut', async () => {
    const ada = await arrive()
    const ticket = async () =>
      (await products[0]!.ask<{ ticket: string }>('POST', '/api/v1/stream/tickets', { token: ada })).body.data.ticket
    await using proxy = await startTcpProxy(Number(new URL(products[0]!.url).port))
    const browser = await openChromium()
    try {
      const page = await browser.newPage()
      await page.goto(origin)
      const listen = (text: string, lastEventId: string) =>
        page.evaluate(
          async ([url, id]) => {
            const state = ((globalThis as unknown as { seen?: string[][] }).seen ??= [])
            const source = new EventSource(`${url}${id === '' ? '' : `&last_event_id=${id}`}`)
            source.addEventListener('note.created', (event) => {
              const { lastEventId, data } = event as unknown as Record<'lastEventId' | 'data', string>
              state.push([lastEventId, data])
            })
            await new Promise((opened) => source.addEventListener('open', opened, { once: true }))
          },
          [`http://127.0.0.1:${proxy.port}/api/v1/stream?topics=notes&ticket=${text}`, lastEventId] as const,
        )
      const seen = () => page.evaluate(() => (globalThis as unknown as { seen: string[][] }).seen)
      const first = await ticket()
      await listen(first, '')
      await write(products[1]!, ada, 'one')
      const [[id] = []] = await eventually(async () => ((await seen()).length === 1 ? seen() : undefined))
      proxy.set({ kind: 'cut' })
      await write(products[1]!, ada, 'two')
      proxy.set({ kind: 'open' })
      await listen(await ticket(), id!)
      await write(products[0]!, ada, 'three')
      const all = await eventually(async () => ((await seen()).length === 3 ? seen() : undefined))
      expect(all.map(([, data]) => titleOf({ data: data! }))).toEqual(['one', 'two', 'three'])
      expect(products[0]!.log()).not.toContain(first)
    } finally {
      await browser.close()
    }
  })

  it('end at once when their process is asked to stop, which does not wait for them, and go on elsewhere', async () => {
    const ada = await arrive()
    const url = `${products[0]!.url}/api/v1/stream?topics=notes`
    const streams = await Promise.all(Array.from({ length: 10 }, () => openEventStream(url, { token: ada })))
    await write(products[1]!, ada, 'before')
    for (const stream of streams) expect(titleOf((await stream.next())!)).toBe('before')
    products[0]!.kill('SIGTERM')
    for (const stream of streams) await stream.ended
    expect((await products[0]!.exited).code).toBe(0)
    expect(streams[0]!.text).toMatch(/retry: \d+\n\n$/)
    await write(products[1]!, ada, 'after')
    await using next = await openEventStream(`${products[1]!.url}/api/v1/stream?topics=notes`, {
      token: ada,
      lastEventId: streams[0]!.lastEventId,
    })
    expect(titleOf((await next.next())!)).toBe('after')
  })
})
