import type { Timer } from '../../kernel/clock.ts'
import { tell } from '../db/index.ts'
import type { Queryable } from '../db/index.ts'
import { keysErrors } from './errors.ts'
import { keyCreated, keyRotated } from './events.ts'
import { generateKey } from './generate.ts'
import { createRing } from './keyring.ts'
import type { KeyRing } from './keyring.ts'
import type { RotateOptions, Rotation, SigningKey } from './keys.ts'
import type { KeysParts } from './parts.ts'
import { announce, expireKey, insertKey, keysChannel, loadKeys, replaceNext, sweepKeys, turn } from './store.ts'
import type { NewKey, StoredKey } from './store.ts'

/** For how long other services may keep our key set. */
export const jwksMaxAgeMs = 300_000
/** A key is published for this long before it may sign: two lives of a cached key set. */
const publishMs = 2 * jwksMaxAgeMs
/** An unknown kid causes at most one query in this time, whoever sends how many. */
const searchEveryMs = 5_000
/** Expired rows stay this long, so that a machine whose clock is ahead deletes nothing that others still accept. */
const keepExpiredMs = 86_400_000

/** Keeps the ring in memory equal to the table, and the table in rotation. */
export class KeyKeeper {
  ring: KeyRing | undefined
  readonly #parts: KeysParts
  readonly #onChange: (ring: KeyRing) => void
  #ensuring: Promise<KeyRing> | undefined
  #searching: Promise<KeyRing> | undefined
  #loading: Promise<KeyRing> | undefined
  #again = false
  #lastSearch = Number.NEGATIVE_INFINITY
  #searchFailed = false
  #timer: Timer | undefined
  #unlisten: (() => Promise<void>) | undefined
  #stopped = false

  constructor(parts: KeysParts, onChange: (ring: KeyRing) => void) {
    this.#parts = parts
    this.#onChange = onChange
  }

  async start(): Promise<void> {
    const { clock, options } = this.#parts
    // Together: to listen takes a connection of its own, which is the longer wait.
    await Promise.all([this.#listen(), this.#ensure()])
    if (!this.#stopped) this.#timer = clock.every(options.refreshMs, () => void this.#tick().catch(this.#complain))
  }

  async #listen(): Promise<void> {
    const { db, log } = this.#parts
    if (!db.capabilities.listen) return
    const reload = (): void => void this.reload().catch(this.#complain)
    this.#unlisten = await db.listen(keysChannel, reload, reload).catch((error: unknown) => {
      log.warn({ err: error }, 'signing keys are polled only: LISTEN failed')
      return undefined
    })
    // A stop that did not wait for us has found nothing to take back.
    if (this.#stopped) await this.#unlisten?.()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#unlisten?.()
    await this.#loading?.catch(() => {})
  }

  /** The ring, made or loaded if need be. */
  async loaded(): Promise<KeyRing> {
    if (this.ring !== undefined) return this.ring
    this.#ensuring ??= this.#ensure().finally(() => (this.#ensuring = undefined))
    return this.#ensuring.catch(unavailable)
  }

  /** Looks for a key that another replica may just have made; `undefined` when that was tried a moment ago. */
  search(): Promise<KeyRing> | undefined {
    if (this.ring === undefined) return this.loaded()
    if (this.#searching !== undefined) return this.#searching
    const now = this.#parts.clock.monotonic()
    if (now - this.#lastSearch < searchEveryMs) {
      // A search that failed proves nothing about the token, so the answer is no 401.
      return this.#searchFailed ? Promise.resolve().then(unavailable) : undefined
    }
    this.#lastSearch = now
    this.#searchFailed = true
    this.#searching = this.reload()
      .then((ring) => {
        this.#searchFailed = false
        return ring
      }, unavailable)
      .finally(() => (this.#searching = undefined))
    return this.#searching
  }

  /** Reads the table. A call during a load makes it load once more, since the change may have been too late for it. */
  reload(): Promise<KeyRing> {
    if (this.#loading !== undefined) {
      this.#again = true
      return this.#loading
    }
    this.#loading = this.#load().finally(() => (this.#loading = undefined))
    return this.#loading
  }

  async #load(): Promise<KeyRing> {
    let ring: KeyRing | undefined
    do {
      this.#again = false
      const { db, clock } = this.#parts
      ring = createRing(await loadKeys(db, new Date(clock.now())), this.#open, this.ring)
    } while (this.#again)
    if (ring === undefined) throw new Error('there is no signing key')
    this.ring = ring
    this.#onChange(ring)
    return ring
  }

  readonly #open = (row: StoredKey): string =>
    this.#parts.secrets.open('keys', row.privateJwk ?? '', row.kid).toString()

  readonly #complain = (error: unknown): void => {
    if (!this.#stopped)
      this.#parts.log.warn({ err: error }, 'signing keys could not be refreshed; the known ones stay in use')
  }

  /** First boot: an active and a next key, made once however many replicas start together. */
  async #ensure(): Promise<KeyRing> {
    const { db, clock, options } = this.#parts
    const rows = await loadKeys(db, new Date(clock.now()))
    for (const state of ['active', 'next'] as const) {
      const present = rows.find((row) => row.state === state)
      // After a change of FORGE_KEYS_ALGORITHM the waiting key is of no use; the active one serves its time.
      if (present !== undefined && (state === 'active' || present.algorithm === options.algorithm)) continue
      const key = await this.#generate()
      const won = await (present === undefined
        ? insertKey(db, key, state)
        : db.tx((tx) => replaceNext(tx, present.kid, key)))
      if (won) keyCreated.publish({ kid: key.kid, algorithm: key.algorithm })
    }
    return this.reload()
  }

  async #generate(): Promise<NewKey> {
    const { clock, options, secrets } = this.#parts
    const { kid, algorithm, publicJwk, privateJwk } = await generateKey(options.algorithm)
    const now = clock.now()
    return {
      kid,
      algorithm,
      publicJwk,
      privateJwk: secrets.seal('keys', JSON.stringify(privateJwk), kid),
      createdAt: new Date(now),
      notBefore: new Date(now + publishMs),
    }
  }

  /** Every replica does this; the one that comes first rotates. */
  async #tick(): Promise<void> {
    const { db, clock, options } = this.#parts
    const { active, next } = await this.reload()
    const now = clock.now()
    if (active.activatedAt + options.rotateEveryMs <= now && next.notBefore <= now) await this.rotate({})
    await sweepKeys(db, new Date(now - keepExpiredMs))
  }

  async rotate({ now: force = false }: RotateOptions, outer?: Queryable): Promise<Rotation> {
    const { db, clock, options } = this.#parts
    // Taken before anything is awaited: of several calls that saw the same key, one finds it still active.
    const seen = this.ring?.active.kid
    const expected = seen ?? (await this.loaded()).active.kid
    const replacement = await this.#generate()
    const now = clock.now()
    const expiresAt = new Date(now + options.maxTtlMs + options.leewayMs + options.refreshMs)
    const run = async (tx: Queryable) => {
      const result = await turn(tx, { expected, replacement, now: new Date(now), expiresAt, force })
      if (result.outcome === 'rotated') {
        await announce(db, tx)
        tell(tx, keyRotated, { retired: expected, active: result.active, next: result.next })
      }
      return result
    }
    const result = await (outer === undefined ? db.tx(run) : run(outer))
    if (result.outcome === 'too_soon') {
      throw keysErrors.error('keys.rotation_too_soon', {
        meta: { not_before: result.notBefore.toISOString() },
        retryAfterMs: result.notBefore.getTime() - now,
      })
    }
    const { active, next } = result
    // Inside of the caller's transaction nothing is visible yet; the notification comes with the commit.
    if (outer !== undefined) return { rotated: result.outcome === 'rotated', active, next }
    const ring = await this.reload()
    return { rotated: result.outcome === 'rotated', active: ring.active.kid, next: ring.next.kid }
  }

  async revoke(kid: string): Promise<void> {
    let ring = await this.loaded()
    // Another replica may turn the keys meanwhile, so that what was next is active now: look again.
    for (let look = 0; look < 3; look++) {
      const done = await this.#revokeIn(ring, kid)
      ring = await this.reload()
      if (done) return
      if (!ring.keys.has(kid)) break
    }
    throw keysErrors.error('keys.unknown')
  }

  async #revokeIn({ active, next }: KeyRing, kid: string): Promise<boolean> {
    const { db, clock } = this.#parts
    if (kid === active.kid) await this.rotate({ now: true })
    const replacement = kid === next.kid ? await this.#generate() : undefined
    return db.tx(async (tx) => {
      const done =
        replacement === undefined
          ? await expireKey(tx, kid, new Date(clock.now()))
          : await replaceNext(tx, kid, replacement)
      if (done) await announce(db, tx)
      return done
    })
  }

  async list(): Promise<SigningKey[]> {
    const rows = await loadKeys(this.#parts.db, new Date(this.#parts.clock.now()))
    return rows.map(({ privateJwk: _private, publicJwk: _public, ...shown }) => shown)
  }
}

function unavailable(cause?: unknown): never {
  throw keysErrors.error('keys.unavailable', { cause, retryAfterMs: searchEveryMs })
}
