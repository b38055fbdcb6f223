// `forge start` as an installed package runs it: the built one. Tests ask for the sources, since a checkout has no build.
import { join } from 'node:path'

const sources = process.env.NODE_OPTIONS?.includes('--conditions=source') === true
const { main } = await import(`../../packages/tsforge/${sources ? 'src/cli/main.ts' : 'dist/cli/main.js'}`)

await main(['start', '--cwd', join(import.meta.dirname, 'tsforge')])
