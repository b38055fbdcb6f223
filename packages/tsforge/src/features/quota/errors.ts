import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type QuotaErrorCode =
  | 'quota.exceeded'
  | 'quota.not_in_plan'
  | 'quota.unknown'
  | 'quota.plan_unknown'
  | 'quota.plan_closed'
  | 'quota.cost_invalid'
  | 'quota.subject_invalid'
  | 'quota.reservation_gone'
  | 'quota.unavailable'
  | 'quota.misdeclared'

export const quotaErrors: ErrorCatalogue<QuotaErrorCode> = defineErrors({
  'quota.exceeded': {
    status: 429,
    message: { en: 'The quota "{quota}" is used up.', id: 'Kuota "{quota}" sudah habis.' },
    fix: 'Wait until meta.resets_at, ask for less, or move to a larger plan. GET /api/v1/quota/usage tells where you stand.',
  },
  'quota.not_in_plan': {
    status: 403,
    message: { en: 'The plan "{plan}" does not include "{quota}".', id: 'Paket "{plan}" tidak mencakup "{quota}".' },
    fix: 'Move to a plan that includes it.',
  },
  'quota.unknown': {
    status: 422,
    message: { en: 'There is no quota "{quota}".', id: 'Tidak ada kuota "{quota}".' },
    fix: 'Use a name that the plans declare.',
  },
  'quota.plan_unknown': {
    status: 409,
    message: { en: 'The plan "{plan}" is not offered.', id: 'Paket "{plan}" tidak ditawarkan.' },
    fix: 'Assign one of the declared plans.',
  },
  'quota.plan_closed': {
    status: 403,
    message: { en: 'The plan "{plan}" cannot be chosen here.', id: 'Paket "{plan}" tidak dapat dipilih di sini.' },
    fix: 'Ask the operator of the service for it.',
  },
  'quota.cost_invalid': {
    status: 422,
    message: {
      en: 'The cost must be a whole number from 1 to {max}.',
      id: 'Biaya harus berupa bilangan bulat dari 1 sampai {max}.',
    },
    fix: 'Correct the cost; what is committed of a reservation cannot be more than was reserved.',
  },
  'quota.subject_invalid': {
    status: 422,
    message: {
      en: 'A quota belongs to a tenant or to an API key of one, named by UUIDs.',
      id: 'Kuota dimiliki oleh tenant atau kunci API miliknya, yang disebut dengan UUID.',
    },
    fix: 'Pass the tenant of the checked context.',
  },
  'quota.reservation_gone': {
    status: 409,
    message: {
      en: 'The reservation has ended: it was settled before, or its lease is over.',
      id: 'Reservasi sudah berakhir: telah diselesaikan, atau masa berlakunya habis.',
    },
    fix: 'Reserve again; give work that takes longer a longer lease.',
  },
  'quota.unavailable': {
    status: 503,
    message: { en: 'Usage cannot be counted at the moment.', id: 'Pemakaian sedang tidak dapat dihitung.' },
    fix: 'Try again shortly; counting resumes by itself.',
  },
  'quota.misdeclared': {
    status: 500,
    message: { en: 'The quotas cannot be served: {faults}.', id: 'Kuota tidak dapat dilayani: {faults}.' },
    fix: 'Correct the plans, or the routes that they are mapped to.',
  },
})
