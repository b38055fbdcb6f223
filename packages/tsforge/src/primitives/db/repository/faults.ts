import { sqlFault, translate } from '../faults.ts'
import type { Table } from './table.ts'

/**
 * What the table's author calls a violated constraint; otherwise the catalogue's word for faulty data. Everything
 * else stays as it is, so that whoever opened the transaction still recognizes what has to be run again.
 */
export function mapFault(table: Table, error: unknown): unknown {
  const fault = sqlFault(error)
  if (fault === undefined || !/^2[23]/.test(fault.state)) return error
  return (fault.constraint === undefined ? undefined : table.violation(fault.constraint, error)) ?? translate(error)
}
