import { defineJob, isName } from '../define-job.ts'
import type { JobId, JobRecord } from '../driver.ts'
import { jobsErrors } from '../errors.ts'
import type { Job, JobSpec, PayloadSchema } from '../job.ts'
import type { EnqueueOptions, Jobs } from '../jobs.ts'
import type { Queryable } from '../../db/index.ts'
import { carry, newJob } from '../new-job.ts'
import { handle, Snooze } from '../runner/handler.ts'
import type { JobCall, JobHandler } from '../runner/handler.ts'
import { stepsOf } from './replay.ts'
import type { Steps } from './replay.ts'
import { blockedUntilMs } from './store.ts'
import type { Member } from './store.ts'

/** What a task's handler gets. */
export interface TaskCall<Input = unknown> extends Omit<JobCall, 'payload'> {
  /** Of the workflow. */
  readonly input: Input
  /** Outputs of the tasks that it needs, by name. */
  readonly results: Readonly<Record<string, unknown>>
}

export interface Task<Input = unknown> extends Pick<
  JobSpec<Input>,
  'queue' | 'priority' | 'maxAttempts' | 'timeoutMs' | 'backoff'
> {
  /** Tasks of this workflow that have to be done before. Default none. */
  readonly needs?: readonly string[]
  /** Gives the output of the task: JSON of at most 256 KiB. */
  readonly run: (call: TaskCall<Input>) => unknown
}

export interface WorkflowSpec<Input> extends Pick<JobSpec<Input>, 'queue' | 'priority' | 'tags' | 'key'> {
  /** As the kind of a job; its tasks are jobs of the kinds `name.task`. */
  readonly name: string
  /** Checks the input. */
  readonly schema?: PayloadSchema
  /** By name, 1 to 200. */
  readonly tasks: Readonly<Record<string, Task<Input>>>
  /** When a task fails for good, all others are cancelled. Default false: only those that need it are. */
  readonly failFast?: boolean
}

export type TaskState = 'waiting' | 'open' | 'done' | 'dead' | 'cancelled'

export interface WorkflowStatus {
  readonly id: JobId
  readonly state: 'open' | 'done' | 'dead' | 'cancelled'
  /** Empty until the workflow has begun, and when it has been over for a while. */
  readonly tasks: Readonly<Record<string, { readonly id: JobId; readonly state: TaskState; readonly output?: unknown }>>
}

/** Tasks that need each other, each of them a job. */
export interface Workflow<Input = unknown> {
  /** Enqueue it to start one; its output is what all tasks gave, by name. */
  readonly job: Job<Input>
  /** For a runner: the workflow itself and its tasks. */
  readonly handlers: readonly JobHandler[]
  start(jobs: Jobs, input: Input, options?: EnqueueOptions, tx?: Queryable): Promise<JobId>
  /** `undefined`: there is no such workflow. */
  status(jobs: Jobs, id: JobId): Promise<WorkflowStatus | undefined>
  /** Ends it and all of its tasks; those that run are told by their signals. Fails with `jobs.unknown` when it has ended. */
  cancel(jobs: Jobs, id: JobId): Promise<void>
}

const mostTasks = 200
const step = 'tasks'
const payloadLimit = 1_048_576

/** Declares a workflow. Throws `jobs.workflow_invalid` at once for unknown names and for tasks that need themselves. */
export function defineWorkflow<Input = unknown>(spec: WorkflowSpec<Input>): Workflow<Input> {
  const { name, tasks, failFast = false } = spec
  const names = Object.keys(tasks)
  checkTasks(name, tasks)
  const job = defineJob<Input>({
    kind: name,
    ...(spec.schema !== undefined && { schema: spec.schema }),
    ...(spec.queue !== undefined && { queue: spec.queue }),
    ...(spec.priority !== undefined && { priority: spec.priority }),
    ...(spec.tags !== undefined && { tags: spec.tags }),
    ...(spec.key !== undefined && { key: spec.key }),
  } as JobSpec<Input> & { readonly schema?: never })
  const jobs = names.map((task) => taskJob(spec, task, tasks[task]!))

  const members = (input: Input): Member[] => {
    const carried = carry()
    return names.map((task, i) => ({
      name: task,
      job: newJob(jobs[i]!, input, input, undefined, carried, payloadLimit),
      needs: (tasks[task]!.needs ?? []).map((need) => names.indexOf(need)),
    }))
  }
  const coordinator = handle(job, async ({ payload, step: steps }) => {
    const children = await (steps as Steps).graph(step, failFast, async () => members(payload))
    const results = await steps.join(children)
    return Object.fromEntries(results.map((result) => [result.name, result.output]))
  })

  return {
    job,
    handlers: [coordinator, ...names.map((task, i) => handle(jobs[i]!, (call) => runTask(tasks[task]!, call)))],
    start: async (to, input, options, tx) => (await to.enqueue(job, input, options, tx)).id!,
    status: (of, id) => statusOf(of, name, id),
    cancel: async (of, id) => void (await of.cancel(id)),
  }
}

function taskJob<Input>(spec: WorkflowSpec<Input>, task: string, options: Task<Input>): Job<Input> {
  const { needs: _needs, run: _run, ...rest } = options
  const queue = rest.queue ?? spec.queue
  const priority = rest.priority ?? spec.priority
  return defineJob<Input>({
    kind: `${spec.name}.${task}`,
    ...rest,
    ...(queue !== undefined && { queue }),
    ...(priority !== undefined && { priority }),
    ...(spec.tags !== undefined && { tags: spec.tags }),
    ...(spec.key !== undefined && { key: spec.key }),
  })
}

async function runTask<Input>(task: Task<Input>, call: JobCall<Input>): Promise<unknown> {
  const needs = await (call.step as Steps).needs()
  // Somebody made it due by hand. It is woken when its turn comes.
  if (needs.some(({ ended }) => ended !== 'done')) throw new Snooze(Number.POSITIVE_INFINITY)
  return task.run({
    input: call.payload,
    results: Object.fromEntries(needs.map(({ name, output }) => [name, output])),
    job: call.job,
    attempt: call.attempt,
    step: call.step,
    get signal() {
      return call.signal
    },
    get log() {
      return call.log
    },
    progress: (value) => call.progress(value),
  })
}

async function statusOf(jobs: Jobs, kind: string, id: JobId): Promise<WorkflowStatus | undefined> {
  const record = await jobs.get(id)
  if (record === undefined || record.kind !== kind) return undefined
  const members = await stepsOf(jobs.driver).members(id, step)
  const open = new Map<JobId, JobRecord>()
  const ids = members.filter(({ ended }) => ended === undefined).map((member) => member.id)
  if (ids.length > 0) for (const one of (await jobs.list({ ids }, { limit: mostTasks })).items) open.set(one.id, one)
  const tasks = members.map(({ id: task, name, ended, output }) => {
    const blocked = open.get(task)?.runAt.getTime() === blockedUntilMs
    const state: TaskState = ended ?? (blocked ? 'waiting' : 'open')
    return [name, { id: task, state, ...(ended === 'done' && { output }) }] as const
  })
  const { state } = record
  const ended = state === 'done' || state === 'dead' || state === 'cancelled'
  return { id, state: ended ? state : 'open', tasks: Object.fromEntries(tasks) }
}

/** Kahn's algorithm: what is left when all that can be done is done needs itself. */
function checkTasks<Input>(workflow: string, tasks: Readonly<Record<string, Task<Input>>>): void {
  const must = (right: boolean, reason: string): void => {
    if (!right) throw jobsErrors.error('jobs.workflow_invalid', { meta: { workflow: String(workflow), reason } })
  }
  const names = Object.keys(tasks)
  must(isName(workflow), 'its name must be 1 to 128 letters, digits and ._:-')
  must(names.length >= 1 && names.length <= mostTasks, `it must have 1 to ${mostTasks} tasks`)
  const open = new Map<string, Set<string>>()
  for (const name of names) {
    must(isName(name) && isName(`${workflow}.${name}`), `"${name}" is no name for a task`)
    const { needs = [], run } = tasks[name]!
    must(typeof run === 'function', `"${name}" has nothing to run`)
    for (const need of needs) must(Object.hasOwn(tasks, need), `"${name}" needs "${need}", which is not there`)
    must(new Set(needs).size === needs.length, `"${name}" needs the same task twice`)
    open.set(name, new Set(needs))
  }
  for (let free = true; free;) {
    free = false
    for (const [name, needs] of open) {
      if (needs.size > 0) continue
      open.delete(name)
      for (const others of open.values()) others.delete(name)
      free = true
    }
  }
  must(open.size === 0, `these tasks need each other: ${[...open.keys()].join(', ')}`)
}
