import { build } from "esbuild"
import { execFile } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import { describe, expect, it } from "vitest"

const root = fileURLToPath(new URL("../..", import.meta.url))

describe("a browser's bundle of the client", () => {
  it("has under 10 kB minified and gzipped, of src/client alone: no effect, no node:", async () => {
    const { outputFiles, metafile } = await build({
      entryPoints: [`${root}src/client/index.ts`],
      absWorkingDir: root,
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      write: false,
      metafile: true,
      logLevel: "silent"
    })
    const [bundle] = outputFiles
    expect(Object.keys(metafile.inputs).filter((path) => !path.startsWith("src/client/"))).toEqual([])
    expect(bundle!.text).not.toMatch(/node:|\brequire\b|\bBuffer\b|\bprocess\b/)
    expect(gzipSync(bundle!.contents).length).toBeLessThan(10_000)
  })

  it("type-checks with a browser's library, without Node's types", async () => {
    // inside the project, so that packages resolve
    const folder = await mkdtemp(join(root, "node_modules/.browser-"))
    try {
      const config = {
        extends: join(root, "tsconfig.json"),
        compilerOptions: { lib: ["ESNext", "DOM"], types: [], plugins: [] },
        files: [join(root, "src/client/index.ts")],
        include: []
      }
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config))
      const tsc = promisify(execFile)(`${root}node_modules/.bin/tsc`, ["--project", folder], { timeout: 60_000 })
      const found = await tsc.then(
        () => "",
        (error: { readonly stdout: string }) => error.stdout
      )
      expect(found).toBe("")
    } finally {
      await rm(folder, { recursive: true })
    }
  }, 60_000)
})
