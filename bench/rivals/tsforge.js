// `forge start` as an installed package runs it: the built one. In a checkout the bin would run the sources.
import { join } from 'node:path'
import { main } from '../../packages/tsforge/dist/cli/main.js'

await main(['start', '--cwd', join(import.meta.dirname, 'tsforge')])
