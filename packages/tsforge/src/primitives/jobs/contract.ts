import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { claimQuestions } from './contract-claims.ts'
import { Exam } from './contract-exam.ts'
import type { JobsLab } from './contract-exam.ts'
import { ruleQuestions } from './contract-rules.ts'

export type { JobsLab } from './contract-exam.ts'

export interface JobsContract {
  readonly name: string
  create(): Promise<JobsLab>
}

/** The exam of a job store. Call it in a vitest file of your own. */
export function jobsContract({ name, create }: JobsContract): void {
  describe(`jobs contract: ${name}`, () => {
    const exam = new Exam()
    beforeAll(async () => {
      exam.lab = await create()
      await exam.driver.start()
    }, 60_000)
    beforeEach(() => exam.lab.clear())
    afterAll(() => exam.lab.close())

    claimQuestions(exam)
    ruleQuestions(exam)
  })
}
