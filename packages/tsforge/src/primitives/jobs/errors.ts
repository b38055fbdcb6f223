import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type JobsErrorCode =
  | 'jobs.payload_invalid'
  | 'jobs.payload_too_large'
  | 'jobs.option_invalid'
  | 'jobs.definition_invalid'
  | 'jobs.unknown'
  | 'jobs.tx_unsupported'
  | 'jobs.closed'
  | 'jobs.step_invalid'
  | 'jobs.step_repeated'
  | 'jobs.step_changed'
  | 'jobs.steps_unsupported'
  | 'jobs.lease_lost'
  | 'jobs.workflow_invalid'
  | 'jobs.schedule_invalid'
  | 'jobs.schedule_unknown'
  | 'jobs.schedule_exists'
  | 'jobs.schedule_declared'

export const jobsErrors: ErrorCatalogue<JobsErrorCode> = defineErrors({
  'jobs.payload_invalid': {
    status: 422,
    message: {
      en: 'The payload of the job "{kind}" is not what it takes: {reason}.',
      id: 'Muatan tugas "{kind}" tidak sesuai: {reason}.',
    },
    fix: 'Send what the schema of the job describes, as plain JSON without NUL characters or broken surrogates.',
  },
  'jobs.payload_too_large': {
    status: 413,
    message: {
      en: 'The payload of the job "{kind}" has {bytes} bytes; at most {limit} are taken.',
      id: 'Muatan tugas "{kind}" berukuran {bytes} byte; batasnya {limit}.',
    },
    fix: 'Store the data elsewhere and put its id into the payload, or raise FORGE_JOBS_PAYLOAD_LIMIT.',
  },
  'jobs.option_invalid': {
    status: 422,
    message: {
      en: 'The option "{option}" of the job "{kind}" is not valid: {reason}.',
      id: 'Opsi "{option}" dari tugas "{kind}" tidak valid: {reason}.',
    },
    fix: 'See the documentation of the option for what it takes.',
  },
  'jobs.definition_invalid': {
    status: 500,
    message: { en: 'The definition of a job is not valid.', id: 'Definisi tugas tidak valid.' },
    fix: 'See "meta.reason", and the documentation of defineJob.',
  },
  'jobs.unknown': {
    status: 404,
    message: {
      en: 'There is no such job in a state that allows this.',
      id: 'Tidak ada tugas tersebut dalam keadaan yang mengizinkan hal ini.',
    },
    fix: 'List the jobs to see their states: only open jobs are cancelled, only dead or waiting ones are retried.',
  },
  'jobs.tx_unsupported': {
    status: 500,
    message: {
      en: 'The job store cannot take part in a transaction.',
      id: 'Penyimpanan tugas tidak dapat ikut dalam transaksi.',
    },
    fix: 'Use the PostgreSQL driver, on the database of the transaction.',
  },
  'jobs.step_invalid': {
    status: 500,
    message: {
      en: 'The step "{step}" of a job is not valid: {reason}.',
      id: 'Langkah "{step}" dari tugas tidak valid: {reason}.',
    },
    fix: 'See the documentation of Step for names, sizes and times.',
  },
  'jobs.step_repeated': {
    status: 500,
    message: {
      en: 'Two steps of one run are named "{step}".',
      id: 'Dua langkah dalam satu jalannya tugas bernama "{step}".',
    },
    fix: 'Give each step a name of its own; in a loop, put the number of the round into it.',
  },
  'jobs.step_changed': {
    status: 500,
    message: {
      en: 'The job came to step "{step}" in place {place}, where it had come to "{before}" before.',
      id: 'Tugas tiba di langkah "{step}" pada urutan {place}, padahal sebelumnya "{before}".',
    },
    fix: 'A job that has begun needs its steps in the order and with the names they had. Bring the old handler back, or give the changed job a kind of its own.',
  },
  'jobs.steps_unsupported': {
    status: 500,
    message: { en: 'The job store keeps no steps.', id: 'Penyimpanan tugas tidak menyimpan langkah.' },
    fix: 'Use the PostgreSQL or the memory driver.',
  },
  'jobs.lease_lost': {
    status: 409,
    message: {
      en: 'The run has lost its job: another one may be at work.',
      id: 'Jalannya tugas ini kehilangan tugasnya: yang lain mungkin sedang mengerjakannya.',
    },
    fix: 'Nothing to do: the job goes on elsewhere. Keep handlers from blocking the event loop.',
  },
  'jobs.workflow_invalid': {
    status: 500,
    message: {
      en: 'The workflow "{workflow}" is not valid: {reason}.',
      id: 'Alur kerja "{workflow}" tidak valid: {reason}.',
    },
    fix: 'See the documentation of defineWorkflow.',
  },
  'jobs.closed': {
    status: 503,
    message: { en: 'The job queue is shutting down.', id: 'Antrean tugas sedang dimatikan.' },
    fix: 'Try again; another instance will answer.',
  },
  'jobs.schedule_invalid': {
    status: 422,
    message: {
      en: 'The "{option}" of the schedule is not valid: {reason}.',
      id: 'Nilai "{option}" pada jadwal tidak valid: {reason}.',
    },
    fix: 'Cron takes five fields (minute hour day month weekday) or six (second first); zones are IANA names such as "Asia/Jakarta".',
  },
  'jobs.schedule_unknown': {
    status: 404,
    message: { en: 'There is no schedule "{name}".', id: 'Tidak ada jadwal "{name}".' },
    fix: 'List the schedules to see their names.',
  },
  'jobs.schedule_exists': {
    status: 409,
    message: { en: 'There is a schedule "{name}" already.', id: 'Jadwal "{name}" sudah ada.' },
    fix: 'Update it, or choose another name.',
  },
  'jobs.schedule_declared': {
    status: 409,
    message: {
      en: 'The schedule "{name}" is declared in code and cannot be changed or removed here.',
      id: 'Jadwal "{name}" dideklarasikan di kode dan tidak dapat diubah atau dihapus di sini.',
    },
    fix: 'Change its declaration, or pause it.',
  },
})
