import { storageErrors } from './errors.ts'

const maxFields = 20
const maxHeadBytes = 8 * 1024
const maxFieldBytes = 16 * 1024
const crlf = Buffer.from('\r\n')
const headEnd = Buffer.from('\r\n\r\n')

export interface Form {
  /** Fields in front of the file, by name. A name that comes twice is refused. */
  readonly fields: ReadonlyMap<string, string>
  /** Bytes of the field `file`, which comes last. Throws when the form ends within it. */
  readonly file: AsyncIterable<Buffer>
}

/** Reads what a browser's form sends (RFC 7578): a few short fields, then one file, which is never held in memory. */
export async function readForm(body: AsyncIterable<Buffer>, contentType: string | undefined): Promise<Form> {
  const boundary = /^multipart\/form-data\s*;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))\s*$/i.exec(
    contentType ?? '',
  )
  const name = boundary?.[1] ?? boundary?.[2]
  if (name === undefined) throw refused('no form')
  const scan = new Scan(body[Symbol.asyncIterator](), Buffer.from(`\r\n--${name}`))
  const fields = new Map<string, string>()
  await scan.begin()
  for (let count = 0; count <= maxFields; count++) {
    const field = nameOf(await scan.head())
    if (field === 'file') return { fields, file: scan.rest() }
    const pieces: Buffer[] = []
    let size = 0
    for await (const piece of scan.part()) {
      size += piece.length
      if (size > maxFieldBytes) throw refused('a field is too long')
      pieces.push(piece)
    }
    if (fields.has(field)) throw refused('a field comes twice')
    fields.set(field, Buffer.concat(pieces).toString())
    if (!(await scan.more())) throw refused('no file')
  }
  throw refused('too many fields')
}

function nameOf(head: string): string {
  const line = head.split('\r\n').find((each) => /^content-disposition:/i.test(each)) ?? ''
  const name = /;\s*name="([^"]{1,100})"/i.exec(line)?.[1]
  if (name === undefined) throw refused('a part without a name')
  return name
}

/** Walks through the parts of a form, holding no more of it than a boundary is long. */
class Scan {
  readonly #source: AsyncIterator<Buffer>
  readonly #delimiter: Buffer
  #held: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterator<Buffer>, delimiter: Buffer) {
    this.#source = source
    this.#delimiter = delimiter
  }

  /** The first boundary has no line end in front of it. */
  async begin(): Promise<void> {
    const first = this.#delimiter.subarray(crlf.length)
    await this.#atLeast(first.length)
    if (!this.#held.subarray(0, first.length).equals(first)) throw refused('no form')
    this.#held = this.#held.subarray(first.length)
    if (!(await this.more())) throw refused('no file')
  }

  /** Behind a boundary: whether another part follows. */
  async more(): Promise<boolean> {
    await this.#atLeast(2)
    const two = this.#held.toString('latin1', 0, 2)
    this.#held = this.#held.subarray(2)
    if (two === '\r\n') return true
    if (two === '--') return false
    throw refused('malformed form')
  }

  /** The headers of a part. */
  async head(): Promise<string> {
    for (;;) {
      const at = this.#held.indexOf(headEnd)
      if (at !== -1) {
        const head = this.#held.toString('utf8', 0, at)
        this.#held = this.#held.subarray(at + headEnd.length)
        return head
      }
      if (this.#held.length > maxHeadBytes) throw refused('a part has too long a head')
      await this.#atLeast(this.#held.length + 1)
    }
  }

  /** The bytes of a part, up to its boundary. */
  async *part(): AsyncGenerator<Buffer> {
    const { length } = this.#delimiter
    for (;;) {
      const at = this.#held.indexOf(this.#delimiter)
      if (at !== -1) {
        if (at > 0) yield this.#held.subarray(0, at)
        this.#held = this.#held.subarray(at + length)
        return
      }
      // The end of what is here may be the beginning of the boundary.
      const sure = this.#held.length - length
      if (sure > 0) {
        yield this.#held.subarray(0, sure)
        this.#held = this.#held.subarray(sure)
      }
      await this.#atLeast(this.#held.length + 1)
    }
  }

  /** The last part, and that nothing but the end follows. */
  async *rest(): AsyncGenerator<Buffer> {
    yield* this.part()
    if (await this.more()) throw refused('fields behind the file')
    for (let more = await this.#source.next(); more.done !== true;) more = await this.#source.next()
  }

  async #atLeast(bytes: number): Promise<void> {
    while (this.#held.length < bytes) {
      const { value, done } = await this.#source.next()
      if (done === true) throw refused('the form ends too early')
      this.#held = this.#held.length === 0 ? value : Buffer.concat([this.#held, value])
    }
  }
}

function refused(reason: string): Error {
  return storageErrors.error('storage.upload_refused', { meta: { reason } })
}
