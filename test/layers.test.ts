/**
 * The shape of the code, held by reading it: floors, cycles, sizes, barrels and headers (DESIGN section 7, STYLE).
 *
 * Oxlint holds the floors too, while one types; this file says the same without a linter and names both ends of a wrong import. Type-only imports
 * count for the floors, since a file that needs the types of a higher one is on the wrong floor, but not for circles. A folder that does not exist yet has no files, hence no faults.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))

const floors = [
  ["kernel", "client"],
  ["actor"],
  ["supervision"],
  ["durable", "gateway", "compute"],
  ["cluster"],
  ["observe", "testkit"],
  ["cli"]
]
const barrels = [
  "actors/index.ts",
  "src/index.ts",
  "src/client/index.ts",
  "src/compute/index.ts",
  "src/gateway/index.ts",
  "src/testkit/index.ts"
]
const maxLinesOfCode = 400
const maxExampleLines = 80
const maxActorLines = 150
const minHeaderLines = 6

/** What actors/ may import: Troupe by its name, the libraries in whose words an actor is written, undici for its connections, and each other. */
const actorImports = /^(troupe|effect|xstate)(\/|$)|^undici$|^\.\/[A-Z]\w+\.ts$/

/** Strings are kept, comments become spaces, so that line numbers stay and an example inside a docstring is no import. */
const withoutComments = (text: string) =>
  text.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (comment, string?: string) => string ?? comment.replace(/[^\n]/g, " ")
  )

interface Import {
  readonly specifier: string
  /** A whole statement of types, `import type`: gone at run time. */
  readonly typeOnly: boolean
}

const importStatement =
  /(?:^|[;}\s])(?:import|export)\s(\s*type\s+(?!from\b))?[^"'`;]*?\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g

const importsOf = (code: string): ReadonlyArray<Import> =>
  [...code.matchAll(importStatement)].map(([, type, from, bare]) => ({
    specifier: from ?? bare ?? "",
    typeOnly: type !== undefined
  }))

const linesOf = (text: string) => text.replace(/\n$/, "").split("\n").length
const linesOfCode = (code: string) => code.split("\n").filter((line) => line.trim() !== "").length

/** Lines of the leading comment, its bare delimiters not counted. */
const headerLines = (text: string) => {
  const header = /^(?:#![^\n]*\n)?\s*(\/\*[\s\S]*?\*\/|(?:\/\/[^\n]*(?:\n|$))+)/.exec(text)?.[1] ?? ""
  return header.split("\n").length
}

interface Source {
  readonly path: string
  readonly text: string
  readonly code: string
  readonly imports: ReadonlyArray<string>
  readonly valueImports: ReadonlyArray<string>
}

const read = (folder: string): ReadonlyArray<Source> => {
  const at = join(root, folder)
  if (!existsSync(at)) return []
  return readdirSync(at, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => {
      const file = join(entry.parentPath, entry.name)
      const text = readFileSync(file, "utf8")
      const code = withoutComments(text)
      const all = importsOf(code)
      const imports = all.map((each) => each.specifier)
      const valueImports = all.filter((each) => !each.typeOnly).map((each) => each.specifier)
      return { path: relative(root, file), text, code, imports, valueImports }
    })
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** The project file that a relative import names, as a path from the root; undefined for a package. */
const target = (source: Source, specifier: string) =>
  specifier.startsWith(".") ? relative(root, resolve(root, dirname(source.path), specifier)) : undefined

/** Floor of a path in src/; `src/index.ts` stands above all; undefined outside src/ and for an unknown folder. */
const floorOf = (path: string) => {
  const [top, folder = "", ...rest] = path.split("/")
  if (top !== "src") return undefined
  if (rest.length === 0) return floors.length
  const floor = floors.findIndex((folders) => folders.includes(folder))
  return floor === -1 ? undefined : floor
}

const src = read("src")
const actors = read("actors")
const examples = read("examples")

describe("layers", () => {
  it("every file in src/ stands on a floor", () => {
    expect(src.filter((file) => floorOf(file.path) === undefined).map((file) => file.path)).toEqual([])
  })

  it("a file in src/ imports its own floor or below only", () => {
    const faults = src.flatMap((file) =>
      file.imports.flatMap((specifier) => {
        const to = target(file, specifier)
        const own = floorOf(file.path)
        if (to === undefined || own === undefined) return []
        const floor = floorOf(to)
        return floor !== undefined && floor <= own ? [] : [`${file.path} (floor ${own}) imports ${to} (floor ${floor})`]
      })
    )
    expect(faults).toEqual([])
  })

  it("a file in src/ imports the file itself, by its .ts name, never a barrel or the package", () => {
    const faults = src.flatMap((file) =>
      file.imports
        .filter((specifier) => {
          const to = target(file, specifier)
          if (to === undefined) return /^troupe(\/|$)/.test(specifier)
          return !to.endsWith(".ts") || barrels.includes(to) || !existsSync(join(root, to))
        })
        .map((specifier) => `${file.path} imports ${specifier}`)
    )
    expect(faults).toEqual([])
  })

  it("only src/cluster imports effect/cluster", () => {
    const faults = [...src, ...actors, ...examples].filter(
      (file) =>
        !file.path.startsWith("src/cluster/") &&
        file.imports.some((specifier) => /^effect\/cluster(\/|$)/.test(specifier))
    )
    expect(faults.map((file) => file.path)).toEqual([])
  })

  it("src/client stands alone: it imports its own files and types, and nothing in src/ imports it", () => {
    const inside = (path: string | undefined) => path?.startsWith("src/client/") === true
    const faults = src.flatMap((file) => {
      const wrong = inside(file.path)
        ? [
            ...file.valueImports.filter((to) => !inside(target(file, to))),
            ...file.imports.filter((to) => to.startsWith("node:"))
          ]
        : file.imports.filter((to) => inside(target(file, to)))
      return wrong.map((to) => `${file.path} imports ${to}`)
    })
    expect(faults).toEqual([])
  })

  it("no imports go in a circle, those of types apart", () => {
    const edges = new Map(src.map((file) => [file.path, file.valueImports.flatMap((to) => target(file, to) ?? [])]))
    const done = new Set<string>()
    const circles: Array<string> = []
    const walk = (path: string, trail: ReadonlyArray<string>) => {
      const from = trail.indexOf(path)
      if (from !== -1) return void circles.push([...trail.slice(from), path].join(" -> "))
      if (done.has(path)) return
      for (const next of edges.get(path) ?? []) walk(next, [...trail, path])
      done.add(path)
    }
    for (const path of edges.keys()) walk(path, [])
    expect(circles).toEqual([])
  })

  it(`no file in src/ has over ${maxLinesOfCode} lines of code`, () => {
    const faults = src.filter((file) => linesOfCode(file.code) > maxLinesOfCode)
    expect(faults.map((file) => `${file.path}: ${linesOfCode(file.code)}`)).toEqual([])
  })

  it("there is no barrel besides those that users import", () => {
    const found = [...src, ...actors, ...examples].map((file) => file.path).filter((path) => path.endsWith("index.ts"))
    expect(found.filter((path) => !barrels.includes(path))).toEqual([])
  })

  it(`every file in src/ and actors/ begins with a comment of at least ${minHeaderLines} lines`, () => {
    const faults = [...src, ...actors].filter((file) => headerLines(file.text) < minHeaderLines)
    expect(faults.map((file) => `${file.path}: ${headerLines(file.text)}`)).toEqual([])
  })

  it(`an example has at most ${maxExampleLines} lines`, () => {
    const faults = examples.filter((file) => linesOf(file.text) > maxExampleLines)
    expect(faults.map((file) => `${file.path}: ${linesOf(file.text)}`)).toEqual([])
  })

  it(`an actor has at most ${maxActorLines} lines and imports only the public API`, () => {
    const long = actors.filter((file) => linesOf(file.text) > maxActorLines)
    const reaching = actors.flatMap((file) =>
      file.imports.filter((to) => !actorImports.test(to)).map((to) => `${file.path} imports ${to}`)
    )
    expect([...long.map((file) => `${file.path}: ${linesOf(file.text)}`), ...reaching]).toEqual([])
  })

  it("an example reaches Troupe by its name", () => {
    const faults = examples.flatMap((file) =>
      file.imports
        .filter((specifier) => target(file, specifier)?.startsWith("src/") === true)
        .map((specifier) => `${file.path} imports ${specifier}`)
    )
    expect(faults).toEqual([])
  })
})
