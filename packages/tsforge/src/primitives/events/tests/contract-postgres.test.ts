import { eventsContract } from '../contract.ts'
import { postgresLab } from './lab.ts'

eventsContract({ name: 'postgres', create: postgresLab })
