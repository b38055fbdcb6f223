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
    // FORGE_JOBS_WORKER=off is for `forge start` in an app whose jobs run here.
    const jobs = { ...(plan.options['jobs'] as object), worker: 'on' }
    const app = await fromPlan(
      { ...plan, options: { ...plan.options, jobs } },
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

/** What the plugin's service knows besides the facade. */
interface Running {
  readonly worker: { readonly handlers: readonly { readonly job: { readonly kind: string } }[] }
}
