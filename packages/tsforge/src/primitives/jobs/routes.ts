import { noContent } from '../../http/answer.ts'
import { createCursors } from '../../http/cursors.ts'
import type { Cursors } from '../../http/cursors.ts'
import { defineFeature } from '../../http/feature.ts'
import type { Feature, PermissionSpec } from '../../http/feature.ts'
import { definePage, pageOf, pageQuery, pageSchema, parsePage } from '../../http/pagination.ts'
import { route } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import { nullable, Timestamp, Type } from '../../http/schema.ts'
import type { Static } from '../../http/schema.ts'
import type { JobFilter, JobId, JobRecord } from './driver.ts'
import { jobsErrors } from './errors.ts'
import { jobFacts, queueFacts, scheduleFacts } from './facts.ts'
import { jobsPort } from './jobs.ts'
import type { Jobs } from './jobs.ts'
import { previewRuns } from './scheduler/preview.ts'
import { schedulesPort } from './scheduler/schedules.ts'
import type { ScheduleRecord, Schedules } from './scheduler/schedules.ts'

export const jobsPermissions: Readonly<Record<'jobs.read' | 'jobs.manage', PermissionSpec>> = {
  'jobs.read': { description: { en: 'See background jobs', id: 'Melihat tugas latar belakang' } },
  'jobs.manage': {
    description: {
      en: 'Retry, cancel and redrive background jobs',
      id: 'Mengulang dan membatalkan tugas latar belakang',
    },
  },
}

/** What the routes work with. */
export interface JobsRoom {
  readonly jobs: Jobs
  readonly schedules: Schedules
  readonly cursors: Cursors
}

/**
 * The jobs and schedules of a tenant over HTTP, for those who own it: an app lists it beside `jobs()`. What concerns all
 * tenants (queues, schedules and jobs of nobody) is the operator's: `forge jobs`.
 */
export function jobsApi(): Feature {
  return defineFeature({
    name: 'jobs-api',
    needs: { jobs: jobsPort, schedules: schedulesPort },
    errors: jobsErrors,
    permissions: jobsPermissions,
    setup: ({ jobs, schedules, secrets }): JobsRoom => ({ jobs, schedules, cursors: createCursors(secrets) }),
    routes: jobsRoutes,
  })
}

const State = Type.Union([
  Type.Literal('scheduled'),
  Type.Literal('ready'),
  Type.Literal('running'),
  Type.Literal('retrying'),
  Type.Literal('done'),
  Type.Literal('dead'),
  Type.Literal('cancelled'),
])
const Count = Type.Integer({ minimum: 0 })
const Name = Type.String({ minLength: 1, maxLength: 128 })

const jobProperties = {
  id: Type.Integer(),
  kind: Type.String(),
  queue: Type.String(),
  state: State,
  priority: Type.Integer({ description: '1 urgent, 2 high, 3 normal, 4 low.' }),
  attempt: Type.Integer({ description: 'Attempts begun and counted.' }),
  max_attempts: Type.Integer(),
  run_at: Timestamp,
  created_at: Timestamp,
  finished_at: nullable(Timestamp),
  run_ms: nullable(Type.Integer({ description: 'How long the last run took.' })),
  key: nullable(Type.String()),
  tags: Type.Array(Type.String()),
  error: nullable(Type.String({ description: 'Name of the latest failure.' })),
  dead_reason: nullable(Type.String({ description: 'failed, discarded or lost.' })),
  cancel_requested: Type.Boolean({ description: 'It runs, and has been asked to end.' }),
}
const JobData = Type.Object(jobProperties, { $id: 'Job' })
const JobDetailData = Type.Object(
  {
    ...jobProperties,
    progress: Type.Unknown({ description: 'What its handler says about how far it is; null when nothing.' }),
    output: Type.Unknown({ description: 'What its handler has given; null when nothing.' }),
  },
  { $id: 'JobDetail' },
)
const QueueData = Type.Object(
  {
    queue: Type.String(),
    paused: Type.Boolean(),
    oldest_ms: Type.Integer({ description: 'For how long the longest waiting job has been due.' }),
    counts: Type.Object({
      scheduled: Count,
      ready: Count,
      running: Count,
      retrying: Count,
      done: Count,
      dead: Count,
      cancelled: Count,
    }),
  },
  { $id: 'JobQueue' },
)
const PlannedRunData = Type.Object(
  { at: Timestamp, local: Type.String({ description: 'The same moment on the wall clock of the zone.' }) },
  { $id: 'PlannedRun' },
)
const ScheduleData = Type.Object(
  {
    name: Type.String(),
    state: Type.Union([
      Type.Literal('active'),
      Type.Literal('disabled'),
      Type.Literal('paused'),
      Type.Literal('retired'),
    ]),
    description: nullable(Type.String()),
    cron: nullable(Type.String({ description: 'Five or six fields, by the clock of `time_zone`.' })),
    every_ms: nullable(Type.Integer({ description: 'In place of `cron`.' })),
    time_zone: Type.String(),
    catch_up: Type.String({ description: 'What becomes of ticks that were missed: skip, one or all.' }),
    kind: Type.String(),
    queue: Type.String(),
    next_at: nullable(Timestamp),
    next_runs: Type.Array(PlannedRunData, { description: 'Five at most; none unless it is active.' }),
    last_at: nullable(Timestamp),
    last_job: nullable(Type.Integer()),
    ticks: Type.Integer({ description: 'So far.' }),
    failing: Type.Boolean({ description: 'The job of its last tick could not be added.' }),
  },
  { $id: 'JobSchedule' },
)
const JobParams = Type.Object({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) })
const filters = {
  queue: Type.Optional(Name),
  kind: Type.Optional(Name),
  tag: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
}
/** Newest first and onwards only: what the queue can answer at any length. */
const paging = definePage({ name: 'jobs', sort: ['id'], defaultSort: '-id' })
const schedulePaging = definePage({ name: 'job_schedules', sort: ['name'], defaultSort: 'name' })
const tags = ['jobs']

/**
 * All work in the tenant of the checked context: a job of another tenant, or of nobody, does not exist. Payloads, messages of
 * errors and stacks are what code tells code, and stay inside.
 */
export function jobsRoutes({ jobs, schedules, cursors }: JobsRoom): readonly Route[] {
  // A job never changes its tenant, so what was checked holds for what follows.
  const own = async (id: JobId, tenantId: string): Promise<JobRecord> => {
    const job = await jobs.get(id)
    if (job === undefined || job.tenantId !== tenantId) throw jobsErrors.error('jobs.unknown')
    return job
  }
  return [
    route({
      method: 'GET',
      url: '/api/v1/jobs',
      id: 'listJobs',
      summary: 'Jobs of the tenant, newest first',
      tags,
      access: 'jobs.read',
      query: Type.Object({
        limit: pageQuery.limit,
        cursor: pageQuery.cursor,
        state: Type.Optional(State),
        ...filters,
        key: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
      }),
      data: pageSchema(JobData),
      handler: async ({ tenantId, query }) => {
        const page = parsePage(query, paging, cursors)
        const { limit: _, cursor: __, ...filter } = query
        const after = page.position?.kind === 'after' ? { after: page.position.keys } : {}
        const slice = await jobs.list({ ...filter, tenantId: tenantId! }, { limit: page.limit, ...after })
        return pageOf(slice, page, jobData)
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/jobs/stats',
      id: 'getJobStats',
      summary: 'How many jobs the tenant has, by queue and state',
      description: 'Done and cancelled jobs count for a day.',
      tags,
      access: 'jobs.read',
      etag: false,
      data: Type.Object({ queues: Type.Array(QueueData) }),
      handler: async ({ tenantId }) => {
        const queues = await jobs.stats(undefined, tenantId!)
        // What others call their queues is nobody's business.
        return { queues: queues.filter(({ counts }) => Object.values(counts).some((n) => n > 0)).map(queueFacts) }
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/jobs/redrive',
      id: 'previewJobRedrive',
      summary: 'What a redrive would run again',
      tags,
      access: 'jobs.manage',
      query: Type.Object(filters),
      data: Type.Object({ count: Count, sample: Type.Array(JobData, { description: 'The newest of them.' }) }),
      handler: async ({ tenantId, query }) => {
        const { count, sample } = await jobs.previewRedrive({ ...query, tenantId: tenantId! })
        return { count, sample: sample.map(jobData) }
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/jobs/redrive',
      id: 'redriveJobs',
      summary: 'Run dead jobs again, oldest first, at a rate',
      tags,
      access: 'jobs.manage',
      body: Type.Object({
        ...filters,
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000, description: 'Most jobs. Default 10000.' })),
        per_second: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'Default: all at once.' })),
      }),
      data: Type.Object({ count: Count }),
      handler: async ({ tenantId, body }) => {
        const { limit = 10_000, per_second: perSecond, ...filter } = body
        return {
          count: await jobs.redrive({
            filter: { ...filter, tenantId: tenantId! } satisfies JobFilter,
            limit,
            perSecond,
          }),
        }
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/jobs/schedules',
      id: 'listJobSchedules',
      summary: 'Schedules of the tenant and their next runs, by name',
      tags,
      access: 'jobs.read',
      query: Type.Object({ limit: pageQuery.limit, cursor: pageQuery.cursor }),
      data: pageSchema(ScheduleData),
      handler: async ({ tenantId, query }) => {
        const page = parsePage(query, schedulePaging, cursors)
        const after = page.position?.kind === 'after' ? { after: page.position.keys } : {}
        return pageOf(await schedules.list({ limit: page.limit, tenantId: tenantId!, ...after }), page, scheduleData)
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/jobs/:id',
      id: 'getJob',
      summary: 'One job',
      tags,
      access: 'jobs.read',
      params: JobParams,
      data: JobDetailData,
      errors: ['jobs.unknown'],
      handler: async ({ tenantId, params }) => {
        const job = await own(params.id, tenantId!)
        return { ...jobData(job), progress: job.progress ?? null, output: job.output ?? null }
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/jobs/:id/retry',
      id: 'retryJob',
      summary: 'Run a dead job again from its first attempt, or a waiting one now',
      tags,
      access: 'jobs.manage',
      params: JobParams,
      data: null,
      errors: ['jobs.unknown'],
      handler: async ({ tenantId, params }) => {
        await own(params.id, tenantId!)
        await jobs.retry(params.id)
        return noContent()
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/jobs/:id/cancel',
      id: 'cancelJob',
      summary: 'End a job that waits, or ask one that runs to end',
      tags,
      access: 'jobs.manage',
      params: JobParams,
      data: Type.Object({ outcome: Type.Union([Type.Literal('cancelled'), Type.Literal('requested')]) }),
      errors: ['jobs.unknown'],
      handler: async ({ tenantId, params }) => {
        await own(params.id, tenantId!)
        return { outcome: await jobs.cancel(params.id) }
      },
    }),
  ]
}

function jobData(job: JobRecord): Static<typeof JobData> {
  return { ...jobFacts(job), error: job.error?.name ?? null }
}

function scheduleData(schedule: ScheduleRecord): Static<typeof ScheduleData> {
  const { timing, nextAt, error } = schedule
  const runs = nextAt === undefined ? [] : previewRuns(timing, nextAt.getTime() - 1, 5)
  return {
    ...scheduleFacts(schedule),
    next_runs: runs.map(({ at, local }) => ({ at, local })),
    failing: error !== undefined,
  }
}
