/**
 * The peers by name: what runs each, at which size, and how to get what it needs.
 *
 * `scale` shrinks the scenarios of a slow peer, as its rate is what is compared; the size that was run stands in its row. A scenario that does not
 * fit a peer is named with the reason. What is missing is a reason too, never a silence: `missing` says how to get it.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { hasGenerator, serves, socketScenarios } from "./Sockets.ts"

const foreign = fileURLToPath(new URL("foreign", import.meta.url))

export interface PeerKind {
  readonly command: "node" | "python3" | "escript"
  /** Its file, from test/bench. */
  readonly file: string
  readonly scale: number
  /** Ours: a failure of it is a failure of the run. */
  readonly ours?: true
  readonly without?: Readonly<Record<string, string>>
}

export const peers: Readonly<Record<string, PeerKind>> = {
  floor: { command: "node", file: "peers/floor.mjs", scale: 1, ours: true },
  troupe: { command: "node", file: "peers/troupe.ts", scale: 1, ours: true },
  "troupe-sync": { command: "node", file: "peers/troupe-sync.ts", scale: 1, ours: true },
  "troupe-fn": { command: "node", file: "peers/troupe-fn.ts", scale: 0.5, ours: true },
  "troupe-gen": { command: "node", file: "peers/troupe-gen.ts", scale: 0.2, ours: true },
  erlang: { command: "escript", file: "foreign/erlang_peer.escript", scale: 0.5 },
  nact: { command: "node", file: "foreign/nact.mjs", scale: 0.1 },
  xstate: { command: "node", file: "peers/xstate.ts", scale: 0.1 },
  "effect-queue": { command: "node", file: "peers/effect-queue.ts", scale: 0.1 },
  asyncio: { command: "python3", file: "foreign/asyncio_peer.py", scale: 0.1 },
  "effect-cluster": {
    command: "node",
    file: "peers/effect-cluster.ts",
    scale: 0.01,
    without: { fairness: "300,000 messages in 3 s are ten times what it can do" }
  }
}

const onPath = (command: string) =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, command)))

const getting = {
  node: "",
  python3: "python3 is not on the PATH (Debian: apt-get install python3)",
  escript: "escript is not on the PATH (Debian: apt-get install erlang-base)"
}

/** Installs what the foreign JavaScript peers need, exactly as locked; false when that failed. */
const installed = (): boolean => {
  if (existsSync(join(foreign, "node_modules/nact"))) return true
  console.error("bench: npm ci in test/bench/foreign, for the peers of other makes")
  const npm = spawnSync("npm", ["ci", "--silent"], { cwd: foreign, stdio: ["ignore", "inherit", "inherit"] })
  return npm.status === 0
}

/** Why a peer cannot run here, and what to do; undefined when it can. */
export const missing = (name: string): string | undefined => {
  const kind = peers[name]
  if (kind === undefined) return "no such peer"
  if (kind.command !== "node") return onPath(kind.command) ? undefined : getting[kind.command]
  if (!kind.file.startsWith("foreign/") || installed()) return undefined
  return "npm ci in test/bench/foreign failed: run it by hand"
}

/** Why a peer does not run a scenario; undefined when it does. */
export const unfit = (name: string, scenario: string): string | undefined => {
  if (!(socketScenarios as ReadonlyArray<string>).includes(scenario)) return peers[name]?.without?.[scenario]
  if (!serves(name)) return "has no sockets here"
  return hasGenerator() ? undefined : "cc is not on the PATH (Debian: apt-get install gcc libc6-dev)"
}
