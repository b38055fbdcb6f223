import type { JobRate, QueueSettings } from '../../driver.ts'
import type { Entry } from './entry.ts'
import { Heap } from './heap.ts'

const lanes = [0, 1, 2, 3, 4] as const
const agedEvery = 8
const suspectsAtOnce = 4

export interface Picked {
  readonly entries: Entry[]
  /** When the next one may be let through. */
  readonly nextMs: number | undefined
  readonly more: boolean
}

/** The waiting jobs of one queue, by key where keys are served in turn. */
export class Queue {
  settings: QueueSettings = {}
  idleUntilMs = 0
  /** Jobs in leases, by key; '' for all. */
  readonly running: Map<string, number> = new Map<string, number>()
  readonly #shelves = new Map<string, Heap[]>()
  readonly #parked = new Map<string, Heap>()
  readonly #tats = new Map<string, number>()
  #count = 0

  get servesKeys(): boolean {
    return this.settings.fair === true || this.settings.perKey !== undefined
  }

  get limited(): boolean {
    return this.servesKeys || this.settings.concurrency !== undefined || this.settings.rate !== undefined
  }

  push(entry: Entry): void {
    const key = this.servesKeys ? (entry.key ?? '') : ''
    let shelf = this.#shelves.get(key)
    if (shelf === undefined) this.#shelves.set(key, (shelf = lanes.map(() => new Heap())))
    shelf[entry.lane]!.push(entry)
  }

  /** After a change of settings. */
  rearrange(entries: Iterable<Entry>): void {
    this.#shelves.clear()
    this.#parked.clear()
    for (const entry of entries) this.push(entry)
  }

  leased(entry: Entry, by: 1 | -1): void {
    for (const key of ['', entry.key ?? '-']) this.running.set(key, Math.max(0, (this.running.get(key) ?? 0) + by))
  }

  pick(kinds: ReadonlySet<string>, want: number, nowMs: number): Picked {
    return this.limited ? this.#pickLimited(kinds, want, nowMs) : this.#pickFree(kinds, want, nowMs)
  }

  nextDueMs(): number | undefined {
    let next: number | undefined
    for (const shelf of this.#shelves.values())
      for (const heap of shelf) {
        const due = trim(heap)?.dueMs
        if (due !== undefined && (next === undefined || due < next)) next = due
      }
    return next
  }

  #pickFree(kinds: ReadonlySet<string>, want: number, nowMs: number): Picked {
    const shelf = this.#shelves.get('')
    const entries: Entry[] = []
    const suspects = shelf?.[0]
    const aged = ++this.#count % agedEvery === 0
    if (suspects !== undefined && !aged) this.#take(suspects, kinds, Math.min(want, suspectsAtOnce), nowMs, entries)
    if (entries.length > 0) return { entries, nextMs: undefined, more: true }
    const heaps = shelf?.slice(1) ?? []
    if (aged) heaps.sort((a, b) => (trim(a)?.dueMs ?? Infinity) - (trim(b)?.dueMs ?? Infinity))
    for (const heap of heaps) this.#take(heap, kinds, want - entries.length, nowMs, entries)
    this.#takeParked(kinds, want - entries.length, nowMs, entries)
    return { entries, nextMs: undefined, more: false }
  }

  #pickLimited(kinds: ReadonlySet<string>, wanted: number, nowMs: number): Picked {
    const { concurrency = Infinity, rate, perKey } = this.settings
    const running = (key: string): number => this.running.get(key) ?? 0
    const want = Math.min(wanted, concurrency - running(''), this.#room(rate, '', nowMs))
    if (want < 1) return { entries: [], nextMs: this.#nextOf(rate, '', nowMs), more: false }
    const entries: Entry[] = []
    const turns = [...this.#shelves].map(([key, shelf]) => ({
      key,
      shelf,
      running: key === '' ? 0 : running(key),
      room:
        key === ''
          ? Infinity
          : Math.min((perKey?.concurrency ?? Infinity) - running(key), this.#room(perKey?.rate, `k${key}`, nowMs)),
    }))
    let nextMs: number | undefined
    // The key with the fewest running jobs is next, and goes behind its equals.
    while (entries.length < want) {
      let best: (typeof turns)[number] | undefined
      for (const turn of turns) if (turn.room >= 1 && (best === undefined || turn.running < best.running)) best = turn
      if (best === undefined) break
      const before = entries.length
      for (const heap of best.shelf) if (entries.length === before) this.#take(heap, kinds, 1, nowMs, entries)
      if (entries.length === before) best.room = 0
      else {
        best.running++
        best.room--
        if (best.key !== '') this.#spend(perKey?.rate, `k${best.key}`, nowMs)
        this.#spend(rate, '', nowMs)
        // To the end of the line, so that equals take turns over claims too.
        const shelf = best.shelf
        this.#shelves.delete(best.key)
        this.#shelves.set(best.key, shelf)
      }
    }
    this.#takeParked(kinds, 0, nowMs, entries)
    if (perKey?.rate !== undefined)
      for (const { key } of turns) {
        const next = this.#nextOf(perKey.rate, `k${key}`, nowMs)
        if (next !== undefined && (nextMs === undefined || next < nextMs)) nextMs = next
      }
    return { entries, nextMs, more: entries.length > 0 }
  }

  #take(heap: Heap, kinds: ReadonlySet<string>, want: number, nowMs: number, into: Entry[]): void {
    for (let left = want; left > 0;) {
      const entry = trim(heap)
      if (entry === undefined || entry.dueMs > nowMs) return
      heap.pop()
      if (kinds.has(entry.job.kind)) {
        into.push(entry)
        left--
      } else this.#park(entry)
    }
  }

  #park(entry: Entry): void {
    const { kind } = entry.job
    let heap = this.#parked.get(kind)
    if (heap === undefined) this.#parked.set(kind, (heap = new Heap()))
    heap.push(entry)
  }

  #takeParked(kinds: ReadonlySet<string>, want: number, nowMs: number, into: Entry[]): void {
    if (this.#parked.size === 0) return
    for (const kind of kinds) {
      const heap = this.#parked.get(kind)
      if (heap === undefined) continue
      if (this.limited) {
        for (const entry of heap.drain()) this.push(entry)
        continue
      }
      const before = into.length
      this.#take(heap, kinds, want, nowMs, into)
      want -= into.length - before
    }
  }

  /** GCRA (ITU-T I.371): a key is the moment at which all that it has spent has come back. */
  #room(rate: JobRate | undefined, key: string, nowMs: number): number {
    if (rate === undefined) return Infinity
    const step = rate.periodMs / rate.limit
    const backlog = Math.max(0, (this.#tats.get(key) ?? 0) - nowMs)
    return Math.floor((step * (rate.burst ?? rate.limit) - backlog) / step + 1e-6)
  }

  #spend(rate: JobRate | undefined, key: string, nowMs: number): void {
    if (rate === undefined) return
    this.#tats.set(key, Math.max(this.#tats.get(key) ?? 0, nowMs) + rate.periodMs / rate.limit)
  }

  #nextOf(rate: JobRate | undefined, key: string, nowMs: number): number | undefined {
    const tat = this.#tats.get(key)
    if (rate === undefined || tat === undefined) return undefined
    const step = rate.periodMs / rate.limit
    const at = tat + step - step * (rate.burst ?? rate.limit)
    return at > nowMs ? at : undefined
  }
}

/** The first job that still waits here: what was cancelled, replaced or moved is dropped on the way. */
function trim(heap: Heap): Entry | undefined {
  for (;;) {
    const first = heap.first
    if (first === undefined || (first.end === 'open' && first.lease === undefined)) return first
    heap.pop()
  }
}
