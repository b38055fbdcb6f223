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
  'jobs.closed': {
    status: 503,
    message: { en: 'The job queue is shutting down.', id: 'Antrean tugas sedang dimatikan.' },
    fix: 'Try again; another instance will answer.',
  },
})
