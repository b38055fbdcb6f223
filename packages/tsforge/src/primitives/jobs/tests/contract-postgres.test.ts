import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { postgres as database } from '../../db/drivers/postgres.ts'
import { createDb } from '../../db/index.ts'
import { createMigrator } from '../../db/migrate/index.ts'
import { jobsContract } from '../contract.ts'
import { postgres } from '../drivers/postgres.ts'
import { clear, fullScans, migrations, pass, postgresLab } from './lab.ts'

jobsContract({ name: 'postgres', create: postgresLab })

// Only where such a pooler is given: PgBouncer in transaction mode, leading to the database of FORGE_TEST_POSTGRES_URL.
const pooler = process.env['FORGE_TEST_PGBOUNCER_URL']
const direct = process.env['FORGE_TEST_POSTGRES_URL']
if (pooler !== undefined && direct !== undefined) {
  jobsContract({
    name: 'postgres behind PgBouncer',
    create: async () => {
      const db = createDb(database({ url: pooler, directUrl: direct, preparedStatements: 'off' }))
      const connect = (): ReturnType<typeof db.connect> => db.connect()
      await createMigrator({ connect, sources: [migrations], clock: systemClock, log: silentLog }).up()
      return {
        driver: postgres({ db, clock: fullScans() }),
        pass: (ms) => pass(db, ms),
        clear: () => clear(db),
        close: () => db.close(),
      }
    },
  })
}
