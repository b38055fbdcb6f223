import { realtimeContract } from '../contract.ts'
import { memoryLab, postgresLab } from './lab.ts'

realtimeContract({ name: 'log in memory', create: memoryLab })
realtimeContract({ name: 'log in PostgreSQL', create: () => postgresLab() })
