import { dbContract } from '../contract.ts'
import { pglite } from '../drivers/pglite.ts'

dbContract({ name: 'PGlite', create: () => pglite() })
