import type { MigrationSource } from '../../../kernel/plugin.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { Db } from '../../db/index.ts'
import type { EventsLab } from '../contract.ts'
import { postgres } from '../drivers/postgres.ts'

export const migrations: MigrationSource = { module: 'events', directory: new URL('../migrations/', import.meta.url) }

/** Lets time pass in the database by moving what it has stored. */
export async function pass(db: Db, ms: number): Promise<void> {
  const by = `interval '${ms} milliseconds'`
  await db.query(`
    update forge_events_subscriptions set until = until - ${by}, seen_at = seen_at - ${by};
    update forge_events_parked set due = due - ${by}, parked_at = parked_at - ${by}, died_at = died_at - ${by};
    update forge_events_inbox set at = at - ${by};
    update forge_events_windows set closed_at = closed_at - ${by}`)
}

export async function postgresLab(): Promise<EventsLab & { readonly db: TestDb }> {
  const db = await testDb({ migrations: [migrations] })
  return {
    db,
    driver: postgres({ db }),
    tx: (work) => db.tx(work),
    pass: (ms) => pass(db, ms),
    clear: async () => {
      await db.query(`truncate forge_events, forge_events_subscriptions, forge_events_parked, forge_events_inbox;
        delete from forge_events_windows where no < (select max(no) from forge_events_windows);
        update forge_events_state set floor_no = no, floor_seq = last_seq from forge_events_windows`)
    },
    close: async () => db[Symbol.asyncDispose](),
  }
}
