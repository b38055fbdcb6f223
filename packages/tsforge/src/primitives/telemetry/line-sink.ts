import { closeSync, openSync } from 'node:fs'
import sonic from 'sonic-boom'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { LineSink } from '../../kernel/log.ts'

export interface FileSinkSettings {
  readonly clock: Clock
  /** File descriptor (1 is stdout) or path of a file to append to. Default 1. */
  readonly destination?: number | string
  /** Most bytes that wait for the destination, default 8 Mi. */
  readonly maxWaiting?: number
}

export interface FileSink extends LineSink {
  /** Lines that were dropped since the start because the destination was too slow. */
  readonly dropped: number
  /** Resolves when all that was written so far has been handed to the operating system; after 2 s in any case. */
  flush(): Promise<void>
  /** Flushes, stops listening to the end of the process and closes a file that was opened here. */
  close(): Promise<void>
}

/** Lines wait this long for company: one system call for all. */
const gatherMs = 10
const gatherBytes = 65_536
/** A pipe that nobody reads makes `flushSync` give up after so many waits of 100 ms… */
const maxWaits = 20
/** … and `flush` after as long. */
const maxFlushMs = 2_000

/**
 * Lines gathered for 10 ms or 64 KiB and written in the background. Memory is bounded: when the destination
 * is too slow, new lines are dropped and counted, and a line says so afterwards. Whatever waits is written at
 * `process.exit` and after an uncaught exception; only SIGKILL and a power cut lose the last 10 ms.
 */
export function createFileSink({ clock, destination = 1, maxWaiting = 8 * 1024 * 1024 }: FileSinkSettings): FileSink {
  const opened = typeof destination === 'string'
  const fd = opened ? openSync(destination, 'a') : destination
  // Counts only while `flushSync` holds the process: in the background a full pipe may take as long as it likes.
  let waits: number | undefined
  const retryEAGAIN = (): boolean => waits === undefined || ++waits <= maxWaits
  // Its types know of strings alone, hence the casts below.
  const contentMode = 'buffer'
  const stream = new sonic.SonicBoom({ fd, sync: false, retryEAGAIN, contentMode })
  const direct = new sonic.SonicBoom({ fd, sync: true, retryEAGAIN, contentMode })
  // Bytes at once: as a string the lines would be a tree of thousands of pieces, which garbage collection walks and copies.
  const gathered = Buffer.allocUnsafeSlow(gatherBytes)
  let used = 0
  let waiting = 0
  let dropped = 0
  let reported = 0
  let timer: Timer | undefined
  let closed = false

  stream.on('write', (bytes: number) => {
    waiting = Math.max(0, waiting - bytes)
  })
  // A destination that is gone (a closed pipe) must not end the app. What it did not take is kept up to the bound.
  stream.on('error', () => {})
  direct.on('error', () => {})

  const take = (): Buffer => {
    timer?.cancel()
    timer = undefined
    const lines = gathered.subarray(0, used)
    used = 0
    if (dropped === reported) return Buffer.from(lines)
    const report = `{"level":"warn","time":"${new Date(clock.now()).toISOString()}","dropped":${dropped - reported},"msg":"log lines were dropped: the destination is too slow"}\n`
    reported = dropped
    return Buffer.concat([lines, Buffer.from(report)])
  }
  const send = (chunk: Buffer): void => {
    if (chunk.length === 0) return
    waiting += chunk.length
    stream.write(chunk as never)
  }
  const handOver = (): void => send(take())
  const flushSync = (): void => {
    if (closed) return
    waits = 0
    try {
      if (waiting > 0) stream.flushSync()
      waiting = 0
    } catch {
      // Gone; there is nobody left to tell.
    }
    // Not through the stream: a write that it begins in the background as the process ends may never be done.
    const chunk = take()
    if (chunk.length > 0) direct.write(chunk as never)
    waits = undefined
  }
  const flush = (): Promise<void> => {
    if (closed) return Promise.resolve()
    handOver()
    return new Promise((resolve) => {
      const patience = clock.after(maxFlushMs, resolve)
      stream.flush(() => {
        patience.cancel()
        resolve()
      })
    })
  }
  process.on('exit', flushSync)

  return {
    get dropped() {
      return dropped
    },
    write(line) {
      if (closed || waiting + used + line.length > maxWaiting) {
        dropped++
        return
      }
      // A character takes three bytes at most.
      const most = line.length * 3
      if (used + most > gatherBytes) handOver()
      if (most > gatherBytes) return send(Buffer.from(line))
      used += gathered.write(line, used)
      timer ??= clock.after(gatherMs, handOver)
    },
    flushSync,
    flush,
    async close() {
      if (closed) return
      await flush()
      closed = true
      timer?.cancel()
      process.off('exit', flushSync)
      if (opened) closeSync(fd)
    },
  }
}
