/**
 * One round: one scenario on one peer, alone in this process. `round.mjs FILE SCENARIO`, FILE being the peer's from this folder, prints the row as a line of JSON; who
 * reads it compares the counts.
 */
/** @import { Peer } from "./Peer.ts" */
import { grown } from "./growth.mjs"
import { scenarios } from "./scenarios.mjs"

const [file = "", scenarioName = ""] = process.argv.slice(2)

const scenario = scenarios[scenarioName] ?? grown(scenarioName)
if (scenario === undefined) throw new Error(`unknown scenario ${scenarioName}`)

// A lost message leaves nothing to wait for: Node would end quietly, in the middle of the scenario.
process.once("exit", (code) => {
  if (code === 13) console.error(`${scenarioName} on ${file}: stopped before its end; a message was lost`)
})

/** @type {{ readonly peer: Peer }} */
const { peer } = await import(`./${file}`)
const row = await scenario(peer)
console.log(JSON.stringify(row))
process.exit(0)
