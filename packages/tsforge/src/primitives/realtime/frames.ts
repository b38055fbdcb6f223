import type { Position } from './driver.ts'

/** Frames of an event stream: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */

/** The id comes last: readers that take it before the frame is whole do not skip what was cut. */
export function eventFrame(id: Position, name: string, json: string): Buffer {
  return Buffer.from(`event: ${name}\ndata: ${json}\nid: ${id}\n\n`)
}

/** How long to wait before connecting again, and from where: an id alone is kept by the reader and told to nobody. */
export function openingFrame(retryMs: number, id: Position): Buffer {
  return Buffer.from(`retry: ${retryMs}\nid: ${id}\n\n`)
}

/** The reader's position is gone: it goes on from `id`, and what it shows it has to fetch anew. */
export function resetFrame(id: Position, reason: string): Buffer {
  return Buffer.from(`id: ${id}\nevent: reset\ndata: ${JSON.stringify({ reason })}\n\n`)
}

export const plainBeat: Buffer = Buffer.from(': \n\n')

/** A sign of life that moves the reader on although nothing was for it, so that it does not fall out of the log. */
export function beatFrame(id: Position): Buffer {
  return Buffer.from(`: \nid: ${id}\n\n`)
}

export function goodbyeFrame(retryMs: number): Buffer {
  return Buffer.from(`retry: ${retryMs}\n\n`)
}
