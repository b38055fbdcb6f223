import { storageContract } from '../contract.ts'
import { memory } from '../drivers/memory.ts'

storageContract({ name: 'memory', create: () => memory() })
