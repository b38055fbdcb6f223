import { jobsContract } from '../contract.ts'
import { postgresLab } from './lab.ts'

jobsContract({ name: 'postgres', create: postgresLab })
