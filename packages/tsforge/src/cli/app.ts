import type { App } from '../host/app.ts'
import type { Plan } from '../host/plan.ts'
import { systemClock } from '../kernel/clock.ts'
import type { LineSink } from '../kernel/log.ts'
import type { FileSink } from '../primitives/telemetry/index.ts'

/** The plan of the app in `cwd`: nothing is connected yet. */
export async function planIn(cwd: string): Promise<Plan> {
  const [{ loadConfig }, { planApp }] = await Promise.all([import('../host/load-config.ts'), import('../host/plan.ts')])
  return planApp({ config: await loadConfig(cwd), root: cwd })
}

/** The app in `cwd`, set up and not started. */
export async function appIn(cwd: string, sink?: LineSink): Promise<App> {
  const plan = await planIn(cwd)
  const { fromPlan } = await import('../host/create-app.ts')
  return fromPlan(plan, sink === undefined ? {} : { sink })
}

/** Runs `work` with the app of `cwd`, set up and not started; stopped afterwards. */
export async function withApp<T>(cwd: string, work: (app: App) => Promise<T>): Promise<T> {
  const sink = await stderrSink()
  try {
    const app = await appIn(cwd, sink)
    try {
      return await work(app)
    } finally {
      await app.stop()
    }
  } finally {
    await sink.close()
  }
}

/** Keeps stdout for the answer. Bounded, and deaf to a reader that has gone; what waits is written when the process ends. */
export async function stderrSink(): Promise<FileSink> {
  const { createFileSink } = await import('../primitives/telemetry/index.ts')
  return createFileSink({ clock: systemClock, destination: 2 })
}
