import { defineErrors } from '../kernel/errors.ts'
import type { ErrorCatalogue } from '../kernel/errors.ts'

/** Why an app does not come up, and what the operational routes answer. */
export const hostErrors: ErrorCatalogue<
  | 'boot.not_a_plugin'
  | 'boot.duplicate_plugin'
  | 'boot.duplicate_provider'
  | 'boot.missing_provider'
  | 'boot.duplicate_role'
  | 'boot.setup_failed'
  | 'boot.start_failed'
  | 'boot.port_taken'
  | 'boot.migrations_pending'
  | 'boot.environment'
  | 'boot.config'
  | 'host.draining'
  | 'host.not_ready'
  | 'host.metrics_unauthorized'
> = defineErrors({
  'boot.not_a_plugin': {
    status: 500,
    message: {
      en: 'features[{index}] is {what}, not a feature.',
      id: 'features[{index}] adalah {what}, bukan sebuah fitur.',
    },
    fix: 'List what the factory returns, e.g. `accounts()` and not `accounts`.',
  },
  'boot.duplicate_plugin': {
    status: 500,
    message: { en: '"{name}" is listed twice.', id: '"{name}" terdaftar dua kali.' },
    fix: 'Remove one of the two from `features`.',
  },
  'boot.duplicate_provider': {
    status: 500,
    message: {
      en: '"{first}" and "{second}" both provide "{port}".',
      id: '"{first}" dan "{second}" sama-sama menyediakan "{port}".',
    },
    fix: 'Keep the one that the app should use.',
  },
  'boot.missing_provider': {
    status: 500,
    message: {
      en: '"{name}" needs "{port}", which nothing in the app provides.',
      id: '"{name}" membutuhkan "{port}", yang tidak disediakan oleh bagian mana pun.',
    },
    fix: 'Add the feature that provides it to `features`.',
  },
  'boot.duplicate_role': {
    status: 500,
    message: {
      en: '"{first}" and "{second}" both bring {role}; an app has at most one.',
      id: '"{first}" dan "{second}" sama-sama membawa {role}; sebuah aplikasi hanya boleh punya satu.',
    },
    fix: 'Keep one of the two.',
  },
  'boot.setup_failed': {
    status: 500,
    message: { en: 'Setting up "{name}" failed: {reason}', id: 'Penyiapan "{name}" gagal: {reason}' },
    fix: 'Mend what the reason names; FORGE_DEBUG=1 shows where it happened.',
  },
  'boot.start_failed': {
    status: 500,
    message: { en: 'Starting "{name}" failed: {reason}', id: 'Menjalankan "{name}" gagal: {reason}' },
    fix: 'Mend what the reason names; FORGE_DEBUG=1 shows where it happened.',
  },
  'boot.port_taken': {
    status: 500,
    message: {
      en: 'Port {port} on {host} is in use by another process.',
      id: 'Port {port} di {host} sedang dipakai proses lain.',
    },
    fix: 'Stop that process, or choose another one with PORT.',
  },
  'boot.migrations_pending': {
    status: 500,
    message: {
      en: 'The database lacks {count} migrations ({names}).',
      id: 'Basis data belum menjalankan {count} migrasi ({names}).',
    },
    fix: 'Run `forge migrate up` before this release starts, or set FORGE_MIGRATE=auto.',
  },
  'boot.environment': {
    status: 500,
    message: {
      en: 'NODE_ENV is "{value}"; it must be development, test or production.',
      id: 'NODE_ENV bernilai "{value}"; seharusnya development, test atau production.',
    },
    fix: 'Use production for everything that others can reach, staging included.',
  },
  'boot.config': {
    status: 500,
    message: { en: '{reason}', id: '{reason}' },
    fix: 'Mend forge.config.ts, or run forge where it lies.',
  },
  'host.draining': {
    status: 503,
    message: { en: 'This instance is shutting down.', id: 'Instans ini sedang dimatikan.' },
    fix: 'Send the request to another instance.',
  },
  'host.not_ready': {
    status: 503,
    message: { en: 'This instance is not ready.', id: 'Instans ini belum siap.' },
    fix: 'Look at `meta.checks` for the part that is down.',
  },
  'host.metrics_unauthorized': {
    status: 401,
    message: { en: 'The metrics token is missing or wrong.', id: 'Token metrik tidak ada atau salah.' },
    fix: 'Send `Authorization: Bearer <FORGE_METRICS_TOKEN>`.',
  },
})
