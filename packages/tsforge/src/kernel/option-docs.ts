import { formatDotenvValue } from './dotenv.ts'
import type { AnySchema } from './fields.ts'

/** The options of a module as a Markdown table: variable, type, default, meaning. */
export function optionsTable(schema: AnySchema): string {
  const rows = Object.values(schema).map((field) => {
    const standard = !field.hasDefault
      ? 'required'
      : field.defaultText === undefined
        ? '-'
        : `\`${field.defaultText || ' '}\``
    return `| \`${field.env}\` | ${field.type} | ${standard} | ${field.doc.replaceAll('|', '\\|')} |`
  })
  return ['| variable | type | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n') + '\n'
}

/** The text of `.env.example` for all modules: what has a default is commented out, a secret is left empty unless it has an example. */
export function envExample(schemas: Readonly<Record<string, AnySchema>>): string {
  const seen = new Set<string>()
  const sections: string[] = []
  for (const [module, schema] of Object.entries(schemas)) {
    const lines: string[] = []
    for (const field of Object.values(schema)) {
      if (seen.has(field.env)) continue
      seen.add(field.env)
      const value = formatDotenvValue(field.example ?? field.defaultText ?? '')
      lines.push(`# ${field.doc}`, `${field.hasDefault ? '# ' : ''}${field.env}=${value}`)
    }
    if (lines.length > 0) sections.push([`# --- ${module}`, ...lines].join('\n'))
  }
  return sections.join('\n\n') + '\n'
}
