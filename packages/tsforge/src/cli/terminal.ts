/** Where a command speaks: people read lines, programs read one JSON document on stdout. */
export interface Terminal {
  readonly json: boolean
  /** A line for people; silent with `--json`. */
  line(text?: string): void
  /** A line for people beside the answer (progress, hints); goes to stderr. */
  note(text: string): void
  /** The answer. With `--json` it is printed as the only document; otherwise `text` is. */
  answer(value: unknown, text?: () => string): void
  /** Aligned columns for people. */
  table(rows: readonly (readonly string[])[]): string
}

export interface Streams {
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
}

export function createTerminal(json: boolean, { stdout, stderr }: Streams = process): Terminal {
  return {
    json,
    line: (text = '') => {
      if (!json) stdout.write(`${text}\n`)
    },
    note: (text) => void stderr.write(`${text}\n`),
    answer: (value, text) => {
      if (json) stdout.write(`${JSON.stringify(value, null, 2)}\n`)
      else if (text !== undefined) stdout.write(`${text()}\n`)
    },
    table,
  }
}

function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(i === row.length - 1 ? 0 : (widths[i] as number)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
