/** What one check of `forge doctor` says. */
export interface Finding {
  readonly name: string
  /** `skipped`: cannot be told, because an earlier check failed. */
  readonly state: 'ok' | 'warning' | 'failed' | 'skipped'
  readonly detail: string
  /** What to do about it. */
  readonly fix?: string
}

export function fine(name: string, detail: string): Finding {
  return { name, state: 'ok', detail }
}

/** Turns what a check throws into its finding. */
export function broken(name: string, error: unknown): Finding {
  const { message = String(error), spec } = (error ?? {}) as { message?: string; spec?: { fix?: string } }
  return { name, state: 'failed', detail: message, ...(spec?.fix !== undefined && { fix: spec.fix }) }
}
