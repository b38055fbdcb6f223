import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type TenantsErrorCode =
  | 'tenant.forbidden'
  | 'tenant.personal'
  | 'tenant.slug_taken'
  | 'tenant.member_exists'
  | 'tenant.member_not_found'
  | 'tenant.last_owner'
  | 'tenant.invalid_name'

export const tenantsErrors: ErrorCatalogue<TenantsErrorCode> = defineErrors({
  // One answer for unknown, deleted and foreign tenants, so that it does not tell which tenants exist.
  'tenant.forbidden': {
    status: 403,
    message: { en: 'You have no access to this tenant.', id: 'Anda tidak memiliki akses ke tenant ini.' },
    fix: 'List your tenants with GET /api/v1/tenants and use one of their ids.',
  },
  'tenant.personal': {
    status: 409,
    message: {
      en: 'A personal tenant belongs to one user and cannot be shared or deleted.',
      id: 'Tenant pribadi milik satu pengguna dan tidak dapat dibagikan atau dihapus.',
    },
    fix: 'Create a team tenant with POST /api/v1/tenants.',
  },
  'tenant.slug_taken': {
    status: 409,
    message: { en: 'Another tenant already uses this slug.', id: 'Slug ini sudah dipakai tenant lain.' },
    fix: 'Choose another slug.',
  },
  'tenant.member_exists': {
    status: 409,
    message: { en: 'This user is already a member of the tenant.', id: 'Pengguna ini sudah menjadi anggota tenant.' },
    fix: 'Change the role with PATCH on the member.',
  },
  'tenant.member_not_found': {
    status: 404,
    message: { en: 'This user is not a member of the tenant.', id: 'Pengguna ini bukan anggota tenant.' },
    fix: 'List the members of the tenant.',
  },
  'tenant.last_owner': {
    status: 409,
    message: { en: 'A tenant keeps at least one owner.', id: 'Sebuah tenant harus memiliki setidaknya satu pemilik.' },
    fix: 'Make another member an owner first.',
  },
  'tenant.invalid_name': {
    status: 422,
    message: {
      en: 'The name or slug of the tenant is not acceptable.',
      id: 'Nama atau slug tenant tidak dapat diterima.',
    },
    fix: 'Names have 1 to 100 visible characters; slugs 3 to 63 of a-z, 0-9 and inner hyphens.',
  },
})
