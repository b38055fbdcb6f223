import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { Exam } from './contract-exam.ts'
import type { EventsLab } from './contract-exam.ts'
import { logQuestions } from './contract-log.ts'
import { subscriptionQuestions } from './contract-subscriptions.ts'

export type { EventsLab } from './contract-exam.ts'

export interface EventsContract {
  readonly name: string
  create(): Promise<EventsLab>
}

/** The exam of a store of events. Call it in a vitest file of your own. */
export function eventsContract({ name, create }: EventsContract): void {
  describe(`events contract: ${name}`, () => {
    const exam = new Exam()
    beforeAll(async () => {
      exam.lab = await create()
      await exam.driver.start()
    }, 60_000)
    beforeEach(() => exam.lab.clear())
    afterAll(() => exam.lab.close())

    logQuestions(exam)
    subscriptionQuestions(exam)
  })
}
