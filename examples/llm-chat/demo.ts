/**
 * A scripted chat: two clients in a room, a tool, a prompt too many, one who leaves in mid answer, one who says stop.
 */
import { Effect } from "effect"
import { connect } from "troupe/client"
import type { Chat } from "./chat.ts"
import type { start } from "./provider.ts"

type Seen = Awaited<ReturnType<typeof start>>["seen"]

export const demo = (url: string, seen: Seen | undefined) =>
  Effect.promise(async () => {
    const join = (key: string) => connect<typeof Chat>({ url, type: "Chat", key })
    const [ann, bob] = [join("lobby"), join("lobby")]
    const firstTokens: Array<number> = []
    const count = { answered: 0, ended: 0, refused: 0, input: 0, output: 0 }
    const answers = bob.events("Answered")
    const failures = bob.events("Unanswered")

    /** Prompts, and tells what came of it; `until`: leaves, or does something else, behind so many tokens. */
    const prompt = async (who: typeof ann, text: string, until?: { tokens: number; act: () => unknown }) => {
      const began = performance.now()
      let [said, tokens] = ["", 0]
      try {
        for await (const part of who.stream("Prompt", { text })) {
          if (part._tag === "Text") {
            if (tokens++ === 0) firstTokens.push(performance.now() - began)
            said += part.text
            if (tokens === until?.tokens) await until.act()
          } else if (part._tag === "Tool") said += `[${part.name}] `
          else if (part._tag === "Done") {
            count.answered++
            count.input += part.input
            count.output += part.output
          }
        }
        return said
      } catch (error) {
        const tag = who.failed("Prompt", error) ? error.data._tag : (error as Error).name
        count[tag === "TurnUnderWay" ? "refused" : "ended"]++
        return tag
      }
    }

    console.log(`ann: hello there\n  model: ${await prompt(ann, "hello there")}`)
    console.log(`  bob, in the same room, heard: ${(await answers.next()).value?.text}`)
    console.log(`bob: add 3\n  model: ${await prompt(bob, "add 3")}`)
    console.log(`ann: add 4\n  model: ${await prompt(ann, "add 4")}`)
    const long = `count with me, number by number: ${Array.from({ length: 200 }, (_, n) => n + 1).join(" ")}`

    const meanwhile = async () => console.log(`bob, meanwhile: hello?\n  ${await prompt(bob, "hello?")}`)
    const leaves = { tokens: 5, act: () => meanwhile().then(() => ann.close()) }
    console.log(`ann: ${long.slice(0, 32)}...`)
    console.log(`  ann leaves in mid answer: ${await prompt(ann, long, leaves)}`)

    console.log(`  bob heard that it has no answer: ${(await failures.next()).value?.why}`)

    const den = join("den")
    const stop = { tokens: 5, act: () => den.ask("Cancel") }
    console.log(`den: ${long.slice(0, 32)}...\n  stop: ${await prompt(den, long, stop)}`)

    const room = await bob.ask("History")
    console.log(
      `the lobby remembers ${room.lines.length} lines of ${room.begun} prompts, and has used ${room.spent} tokens`
    )
    const { answered, ended, refused, input, output } = count
    console.log(`prompts: ${answered} answered, ${refused} refused, ${ended} ended`)
    console.log(`tokens of answers: ${input} in, ${output} out`)
    const median = firstTokens.toSorted((a, b) => a - b)[firstTokens.length >> 1]!
    console.log(`time to the first token: median ${median.toFixed(0)} ms of ${firstTokens.length}`)
    // the ends of calls cross the wire: they are seen in a moment
    while (seen !== undefined && seen.open > 0) await new Promise(setImmediate)
    if (seen === undefined) console.log("what a real endpoint has seen it does not tell")
    else console.log(`seen by the server: ${seen.calls} calls, ${seen.aborted} aborted, at most ${seen.peak} at once`)
    for (const client of [bob, den]) client.close()
  })
