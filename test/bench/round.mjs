/**
 * One round: one scenario on one peer, alone in this process. `round.mjs FILE SCENARIO`, FILE being the peer's, prints the row as a line of JSON, or fails.
 */
/** @import { Peer } from "./Peer.ts" */
import { scenarios } from "./scenarios.mjs"

const [file = "", scenarioName = ""] = process.argv.slice(2)

const scenario = scenarios[scenarioName]
if (scenario === undefined) throw new Error(`unknown scenario ${scenarioName}`)

// A lost message leaves nothing to wait for: Node would end quietly, in the middle of the scenario.
process.once("exit", (code) => {
  if (code === 13) console.error(`${scenarioName} on ${file}: stopped before its end; a message was lost`)
})

/** @type {{ readonly peer: Peer }} */
const { peer } = await import(`./peers/${file}`)
const row = await scenario(peer)
if (row.completed !== row.expected) {
  console.error(`${scenarioName} on ${peer.name}: row refused, ${row.completed} done of ${row.expected}`)
  process.exit(1)
}
console.log(JSON.stringify(row))
process.exit(0)
