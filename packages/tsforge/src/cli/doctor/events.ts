import type { Events } from '../../primitives/events/index.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

const lateMs = 5 * 60_000
const day = 86_400_000

/** How far the subscriptions are, what has died, and who is gone. */
export async function examineEvents(events: Events): Promise<Finding> {
  const name = 'events'
  if (!events.driver.capabilities.shared) return fine(name, 'in memory of the running app')
  try {
    const all = await events.subscriptions()
    const gone = all.filter(({ seenAt }) => seenAt.getTime() < Date.now() - day)
    const live = all.filter((each) => !gone.includes(each))
    const late = live.filter(({ lagMs }) => lagMs > lateMs).map((each) => each.name)
    const sum = (what: 'waiting' | 'dead'): number => all.reduce((total, each) => total + each[what], 0)
    const detail = [
      `${live.length} subscription${live.length === 1 ? '' : 's'}, ${sum('waiting')} waiting, ${sum('dead')} dead`,
      ...(gone.length > 0 ? [`not seen for a day: ${gone.map((each) => each.name).join(', ')}`] : []),
    ].join('; ')
    const warning = (what: string, fix: string): Finding => ({
      name,
      state: 'warning',
      detail: `${detail}; ${what}`,
      fix,
    })
    if (late.length > 0)
      return warning(
        `minutes behind: ${late.join(', ')}`,
        'Run forge start or forge worker with these subscriptions; see forge events.',
      )
    if (sum('dead') > 0)
      return warning('some have died', 'See forge events dead; forge events redrive delivers them again.')
    return fine(name, detail)
  } catch (error) {
    return broken(name, error)
  }
}
