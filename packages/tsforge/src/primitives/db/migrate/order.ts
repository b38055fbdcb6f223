import type { MigrationSource } from '../../../kernel/plugin.ts'
import { migrationErrors } from './errors.ts'

/**
 * Sources in dependency order. Stable: a source stays where it was listed unless something that it comes
 * `after` is listed later. Throws on cycles, on twins and on names that are not among the sources.
 */
export function orderSources(sources: readonly MigrationSource[]): MigrationSource[] {
  const byModule = new Map<string, MigrationSource>()
  for (const source of sources) {
    if (byModule.has(source.module)) throw invalid(source.module, 'it is listed twice')
    byModule.set(source.module, source)
  }
  const ordered = new Set<MigrationSource>()
  const path: string[] = []
  const visit = (source: MigrationSource): void => {
    if (ordered.has(source)) return
    if (path.includes(source.module)) {
      const cycle = [...path.slice(path.indexOf(source.module)), source.module]
      throw invalid(source.module, `\`after\` goes in a circle: ${cycle.join(' → ')}`)
    }
    path.push(source.module)
    for (const name of source.after ?? []) {
      const needed = byModule.get(name)
      if (needed === undefined) throw invalid(source.module, `it comes after "${name}", which is not among the sources`)
      visit(needed)
    }
    path.pop()
    ordered.add(source)
  }
  for (const source of sources) visit(source)
  return [...ordered]
}

function invalid(module: string, reason: string): Error {
  return migrationErrors.error('db.migration_source_invalid', { meta: { module, reason } })
}
