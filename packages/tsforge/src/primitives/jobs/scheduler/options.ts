import { field } from '../../../kernel/options.ts'
import type { OptionsSchema } from '../../../kernel/options.ts'

export interface SchedulesOptions {
  readonly scheduler: 'on' | 'off'
  readonly pollMs: number
}

export const schedulesOptions: OptionsSchema<SchedulesOptions> = {
  scheduler: field.oneOf('FORGE_SCHEDULES', {
    doc: 'Whether this process adds the jobs of schedules. Any number of processes may; one at a time does',
    values: ['on', 'off'],
    default: 'on',
  }),
  pollMs: field.duration('FORGE_SCHEDULES_POLL', {
    doc: 'How often to look for changed schedules although nobody has told of any',
    default: '5s',
    min: '100ms',
    max: '1m',
  }),
}
