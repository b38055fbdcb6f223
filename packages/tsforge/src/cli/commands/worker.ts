import { planIn, stderrSink } from '../app.ts'
import type { Command } from '../command.ts'

export const worker: Command = {
  usage: '',
  flags: {},
  examples: ['forge worker', 'FORGE_JOBS_QUEUES=mail,exports FORGE_JOBS_CONCURRENCY=10 forge worker'],
  async run({ cwd, terminal }) {
    const plan = await planIn(cwd)
    const [{ fromPlan }, { jobsPort }, { attachToProcess }] = await Promise.all([
      import('../../host/create-app.ts'),
      import('../../primitives/jobs/index.ts'),
      import('../../host/process.ts'),
    ])
    const app = await fromPlan(
      { ...plan, options: working(plan.options) },
      terminal.json ? { sink: await stderrSink() } : {},
    )
    attachToProcess(app)
    // Throws when the app has no jobs.
    const { handlers } = (app.get(jobsPort) as unknown as Running).worker
    await app.work()
    const { name, version, environment } = app.info
    const kinds = handlers.map(({ job }) => job.kind).toSorted()
    app.log.info({ kinds, environment }, 'working')
    if (environment === 'production' && !terminal.json) return
    terminal.answer({ ok: true, name, version, environment, pid: process.pid, kinds }, () =>
      kinds.length === 0
        ? `${name} ${version} (${environment}) declares no jobs; it only takes care of the queue`
        : `${name} ${version} (${environment}) runs ${kinds.join(', ')}`,
    )
  },
}

/** FORGE_JOBS_WORKER=off and FORGE_EVENTS_DISPATCHER=off are for `forge start` in an app that does this work here. */
export function working({
  jobs,
  events,
  ...options
}: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return {
    ...options,
    ...(jobs !== undefined && { jobs: { ...(jobs as object), worker: 'on' } }),
    ...(events !== undefined && { events: { ...(events as object), dispatcher: 'on' } }),
  }
}

/** What the plugin's service knows besides the facade. */
interface Running {
  readonly worker: { readonly handlers: readonly { readonly job: { readonly kind: string } }[] }
}
