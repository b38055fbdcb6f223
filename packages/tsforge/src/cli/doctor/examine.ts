import { planIn } from '../app.ts'
import type { Plan } from '../../host/plan.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'
import { nodeVersion, portFree, secretFile, stateFolder, trustedProxies } from './machine.ts'

/** Runs every check that can be run; one that fails never hides the others. */
export async function examine(cwd: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [nodeVersion()]
  let plan: Plan
  try {
    plan = await planIn(cwd)
  } catch (error) {
    return [
      ...findings,
      ...configFaults(error),
      { name: 'database', state: 'skipped', detail: 'the configuration comes first' },
    ]
  }
  const { app, features } = plan
  findings.push(
    fine(
      'config',
      `${app.name} ${app.version} (${app.environment}): ${features.map((feature) => feature.name).join(', ')}`,
    ),
  )
  findings.push(stateFolder(plan), secretFile(plan), trustedProxies(plan), await portFree(plan))
  const { examineServices } = await import('./services.ts')
  findings.push(...(await examineServices(plan)))
  return findings
}

/** One line for each fault of the settings, so that they can be mended in one go. */
function configFaults(error: unknown): Finding[] {
  const faults = (error as { faults?: readonly { name: string; problem: string }[] } | null)?.faults
  if (faults === undefined) return [broken('config', error)]
  return faults.map(({ name, problem }) => ({ name: 'config', state: 'failed', detail: `${name} ${problem}` }))
}
