/** Another file of the same process: the check is there for it too, and what the file before leaked is none of its own. */
import { afterAll, it } from "vitest"

let timer: NodeJS.Timeout | undefined
afterAll(() => clearInterval(timer))

it("leaves a timer in a second file", () => {
  timer = setInterval(() => {}, 1000)
})

it("is clean in a second file", () => {})
