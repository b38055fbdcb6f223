import { expect, it } from 'vitest'
import { redisFault } from '../faults.ts'

it.each([
  ["READONLY You can't write against a read only replica.", 'redis.read_only'],
  ['MISCONF Redis is configured to save RDB snapshots, but it is currently unable to', 'redis.read_only'],
  ['NOREPLICAS Not enough good replicas to write.', 'redis.read_only'],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'redis.out_of_memory'],
  ['ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed', 'redis.out_of_memory'],
  ['LOADING Redis is loading the dataset in memory', 'redis.unavailable'],
  ['CLUSTERDOWN The cluster is down', 'redis.unavailable'],
  ['BUSY Redis is busy running a script.', 'redis.unavailable'],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', 'redis.command'],
  ['NOAUTH Authentication required.', 'redis.command'],
  ["ERR unknown command 'OOM ', with args beginning with: READONLY ", 'redis.command'],
  ['Socket closed unexpectedly', 'redis.unavailable'],
  ['connect ECONNREFUSED 127.0.0.1:6379', 'redis.unavailable'],
])('%s is %s', (message, code) => {
  expect(redisFault(new Error(message)).code).toBe(code)
})

it('an error of the machine is no error of the server', () => {
  expect(redisFault(Object.assign(new Error('SSL routines failed'), { code: 'ERR_SSL' })).code).toBe(
    'redis.unavailable',
  )
  expect(redisFault(undefined).code).toBe('redis.unavailable')
})

it('what was cut because it was overdue is a timeout', () => {
  expect(redisFault(new Error('Disconnects client'), true).code).toBe('redis.timeout')
})
