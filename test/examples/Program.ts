/** Runs an example program as a reader does, in a process of its own, and hands back what it printed. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Rejects when it does not end by itself, and well. */
export const run = async (name: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const command = ["--no-warnings", `${root}examples/${name}/main.ts`, ...args]
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: root, timeout: 19_000 })
  return stdout
}
