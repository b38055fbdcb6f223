import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import {
  link,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { ForgeError } from '../../../kernel/errors.ts'
import { bytesRead } from '../dead-bytes.ts'
import { checkConditions, resolveRange } from '../driver.ts'
import type {
  CopyChanges,
  DriverGet,
  DriverList,
  DriverObject,
  DriverPut,
  ListedObject,
  Listing,
  ObjectHeaders,
  ObjectInfo,
  StorageDriver,
} from '../driver.ts'
import { storageErrors } from '../errors.ts'
import { placeOf } from './disk/names.ts'
import { encodeTrailer, readTrailer } from './disk/trailer.ts'
import { nameFile, walk } from './disk/walk.ts'

export interface DiskSettings {
  /** Folder of the objects; made when it is not there. Give it to nobody but the app. */
  readonly path: string
  readonly clock?: Clock
}

const dayMs = 24 * 60 * 60_000
/** How often a folder may vanish, with its last object, between its making and its use. */
const attempts = 20
/** More than for downloads over a network: files are read faster, and V8 must not look so often. */
const deadBytes = 32 * 2 ** 20

/**
 * Objects as files below one folder, seen by all processes that share it. What is stored is synced before it gets its
 * name, so that a crash leaves the old object or the new one. Neither keys nor links lead out of the folder.
 */
export function disk(settings: DiskSettings): StorageDriver {
  return new DiskDriver(settings)
}

class DiskDriver implements StorageDriver {
  readonly capabilities = { durable: true, shared: true }
  readonly #path: string
  readonly #clock: Clock
  #opened: Promise<string> | undefined

  constructor({ path, clock = systemClock }: DiskSettings) {
    this.#path = resolve(path)
    this.#clock = clock
  }

  async put(key: string, body: AsyncIterable<Buffer>, options: DriverPut): Promise<ObjectInfo> {
    return trouble(async () => {
      if (options.createOnly && (await this.head(key)) !== undefined) throw storageErrors.error('storage.exists')
      return this.#write(key, body, options, options.createOnly)
    })
  }

  async get(key: string, { range: wanted, signal, ...conditions }: DriverGet): Promise<DriverObject> {
    return trouble(async () => {
      const { handle, info } = await this.#find(key)
      try {
        checkConditions(conditions, info.etag)
        const range = wanted === undefined ? undefined : resolveRange(wanted, info.size)
        if (info.size === 0) {
          await handle.close()
          return { info, range, body: Readable.from([], { objectMode: false }) }
        }
        const { start, end } = range ?? { start: 0, end: info.size - 1 }
        const body = handle.createReadStream({ start, end, ...(signal !== undefined && { signal }) })
        return { info, range, body: counted(body) }
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    return trouble(async () => {
      const { folders, file } = placeOf(key)
      return this.#read(join(await this.#root(), ...folders, file))
    })
  }

  async copy(from: string, to: string, { ifMatch, headers }: CopyChanges): Promise<ObjectInfo> {
    return trouble(async () => {
      const { info, body } = await this.get(from, ifMatch === undefined ? {} : { ifMatch })
      return this.#write(to, body as AsyncIterable<Buffer>, headers ?? info, false)
    })
  }

  async list({ prefix, delimiter, cursor, limit }: DriverList): Promise<Listing> {
    return trouble(async () => {
      const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString()
      const objects: ListedObject[] = []
      const folders: string[] = []
      let last = ''
      const root = join(await this.#root(), 'objects')
      for await (const found of walk(root, '', { prefix, delimiter, after, read: (file) => this.#read(file) })) {
        if (objects.length + folders.length === limit)
          return { objects, folders, cursor: Buffer.from(last).toString('base64url') }
        if ('folder' in found) folders.push((last = found.folder))
        else {
          objects.push(found.object)
          last = found.object.key
        }
      }
      return { objects, folders, cursor: null }
    })
  }

  async delete(keys: readonly string[]): Promise<void> {
    return trouble(async () => {
      const root = await this.#root()
      for (const key of keys) {
        const { folders, file } = placeOf(key)
        await this.#checkFolder(join(root, ...folders)).then((there) =>
          there ? absent(unlink(join(root, ...folders, file))) : undefined,
        )
        // Empty folders go too, up to the first that is not.
        for (let depth = folders.length; depth > 1; depth--) {
          const gone = await rmdir(join(root, ...folders.slice(0, depth))).then(
            () => true,
            () => false,
          )
          if (!gone) break
        }
      }
    })
  }

  async ping(): Promise<void> {
    await trouble(async () => void (await stat(await this.#root())))
  }

  async close(): Promise<void> {}

  async #write(
    key: string,
    body: AsyncIterable<Buffer>,
    { contentType, contentDisposition, cacheControl, metadata }: ObjectHeaders,
    createOnly: boolean,
  ): Promise<ObjectInfo> {
    const root = await this.#root()
    const draft = join(root, 'drafts', randomUUID())
    const handle = await open(draft, 'wx', 0o600)
    try {
      const hash = createHash('sha256')
      let size = 0
      for await (const piece of body) {
        hash.update(piece)
        size += piece.length
        await handle.writeFile(piece)
      }
      const sha256 = hash.digest('hex')
      const described = {
        key,
        etag: `"${sha256.slice(0, 32)}"`,
        sha256,
        contentType,
        ...(contentDisposition !== undefined && { contentDisposition }),
        ...(cacheControl !== undefined && { cacheControl }),
        metadata,
      }
      const updatedAt = this.#clock.now()
      await handle.writeFile(encodeTrailer({ ...described, updatedAt }))
      await handle.sync()
      await handle.close()
      await this.#publish(draft, key, createOnly)
      return { ...described, size, updatedAt: new Date(updatedAt) }
    } finally {
      await handle.close().catch(() => undefined)
      await rm(draft, { force: true }).catch(() => undefined)
    }
  }

  /** Gives a finished draft its name. Both ways are atomic; only a link tells when the name is taken. */
  async #publish(draft: string, key: string, createOnly: boolean): Promise<void> {
    const root = await this.#root()
    const { folders, file } = placeOf(key)
    const folder = join(root, ...folders)
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#makeFolders(root, folders, key)
        await (createOnly ? link(draft, join(folder, file)) : rename(draft, join(folder, file)))
        return await syncFolder(folder)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (createOnly && code === 'EEXIST') throw storageErrors.error('storage.exists')
        if (code !== 'ENOENT' || attempt === attempts) throw error
      }
    }
  }

  async #makeFolders(root: string, folders: readonly string[], key: string): Promise<void> {
    let path = root
    for (const [at, name] of folders.entries()) {
      const parent = path
      path = join(path, name)
      const made = await mkdir(path, { mode: 0o700 }).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false
          throw error
        },
      )
      if (name.startsWith('d~')) await writeFile(join(path, nameFile), key.split('/')[at - 1]!, { mode: 0o600 })
      if (made) await syncFolder(parent)
    }
    await this.#checkFolder(path)
  }

  async #find(key: string): Promise<{ readonly handle: FileHandle; readonly info: ObjectInfo }> {
    const { folders, file } = placeOf(key)
    const handle = await this.#open(join(await this.#root(), ...folders, file))
    if (handle === undefined) throw storageErrors.error('storage.not_found')
    try {
      return { handle, info: await readTrailer(handle) }
    } catch (error) {
      await handle.close()
      throw unavailable(error)
    }
  }

  async #read(path: string): Promise<ObjectInfo | undefined> {
    const handle = await this.#open(path)
    if (handle === undefined) return undefined
    try {
      return await readTrailer(handle)
    } catch (error) {
      throw unavailable(error)
    } finally {
      await handle.close()
    }
  }

  /** Opens a file, and looks at what was opened: a link anywhere on its path would have led elsewhere. */
  async #open(path: string): Promise<FileHandle | undefined> {
    let handle: FileHandle
    try {
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw error
    }
    const actual = await readlink(`/proc/self/fd/${handle.fd}`).catch(() => realpath(path))
    // An object that was replaced since shows the mark of the kernel behind its path.
    if (actual === path || actual === `${path} (deleted)`) return handle
    await handle.close()
    throw unavailable(new Error('a symbolic link lies in the storage folder'))
  }

  /** False when it is not there; throws when a link lies on the way to it. */
  async #checkFolder(path: string): Promise<boolean> {
    const actual = await realpath(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw error
    })
    if (actual === undefined) return false
    if (actual !== path) throw unavailable(new Error('a symbolic link lies in the storage folder'))
    return true
  }

  /** The folder without links on its way, made at the first use. */
  #root(): Promise<string> {
    return (this.#opened ??= this.#prepare().catch((error: unknown) => {
      this.#opened = undefined
      throw error
    }))
  }

  async #prepare(): Promise<string> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 })
    const root = await realpath(this.#path)
    for (const name of ['drafts', 'objects']) {
      await mkdir(join(root, name), { recursive: true, mode: 0o700 })
      await this.#checkFolder(join(root, name))
    }
    await this.#sweep(join(root, 'drafts'))
    return root
  }

  /** Drafts of processes that died; a day old, since those of living ones are here as well. */
  async #sweep(folder: string): Promise<void> {
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const made = (await stat(path).catch(() => undefined))?.mtimeMs
      if (made !== undefined && Date.now() - made > dayMs) await rm(path, { force: true })
    }
  }
}

/** Makes names durable. Not every system lets a folder be synced. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

function absent(work: Promise<void>): Promise<void> {
  return work.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

function unavailable(cause: unknown): Error {
  return cause instanceof ForgeError ? cause : storageErrors.error('storage.unavailable', { cause })
}

/** What the file system says becomes `storage.unavailable`; what the body throws stays what it is. */
async function trouble<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { syscall } = error as NodeJS.ErrnoException
    throw syscall === undefined ? error : unavailable(error)
  }
}

function counted(body: Readable): Readable {
  const read = body._read.bind(body)
  body._read = (size) => {
    bytesRead(size, deadBytes)
    read(size)
  }
  return body
}
