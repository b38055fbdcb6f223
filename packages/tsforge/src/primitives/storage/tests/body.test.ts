import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { measured } from '../body.ts'

const noLimits = { size: undefined, maxSize: undefined, sha256: undefined, signal: undefined }
const pieces = Array.from({ length: 20 }, (_, at) => Buffer.alloc(1000, at))

it('the pieces of a stream reach a slow store without a copy', async () => {
  const body = Readable.from(pieces, { objectMode: false })
  let at = 0
  for await (const piece of measured(body, noLimits)) {
    // Meanwhile the stream reads ahead.
    await new Promise(setImmediate)
    expect(piece).toBe(pieces[at++])
  }
  expect(at).toBe(20)
})

it('a stream that goes elsewhere too is stored whole', async () => {
  const body = Readable.from(pieces, { objectMode: false })
  const elsewhere = buffer(body.pipe(new PassThrough({ highWaterMark: 1 })))
  const stored: Buffer[] = []
  for await (const piece of measured(body, noLimits)) {
    // The other one sets it going again before the store is ready.
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    stored.push(piece)
  }
  expect(Buffer.concat(stored)).toEqual(Buffer.concat(pieces))
  expect(await elsewhere).toEqual(Buffer.concat(pieces))
})

it('a stream whose beginning was looked at is stored whole', async () => {
  const body = Readable.from(pieces, { objectMode: false })
  for await (const first of body.iterator({ destroyOnReturn: false })) {
    body.unshift(first)
    break
  }
  expect(await buffer(measured(body, noLimits))).toEqual(Buffer.concat(pieces))
})

it('a stream that breaks breaks the body, and one that was broken before does as well', async () => {
  async function* breaking(): AsyncGenerator<Buffer> {
    yield* pieces
    throw new Error('torn')
  }
  const body = Readable.from(breaking(), { objectMode: false })
  await expect(buffer(measured(body, noLimits))).rejects.toThrow('torn')
  await expect(buffer(measured(body, noLimits))).rejects.toThrow('torn')
  await expect(buffer(measured(new PassThrough().destroy(), noLimits))).rejects.toThrow('Premature close')
})

it('a store that gives up lets go of the stream', async () => {
  const body = new PassThrough()
  body.write(pieces[0]!)
  for await (const _ of measured(body, noLimits)) break
  expect(body.destroyed).toBe(true)
})
