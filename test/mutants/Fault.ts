/** A deliberate fault: texts of files under `src/` (or `../actors/`), each of which stands there once, and what stands there instead. */
export interface Fault {
  readonly id: string
  /** What it breaks. */
  readonly law: string
  readonly edits: ReadonlyArray<readonly [file: string, text: string, instead: string]>
}

/** A fault of one edit. */
export const one = (id: string, law: string, file: string, text: string, instead: string): Fault => ({
  id,
  law,
  edits: [[file, text, instead]]
})

/** The same in a file of the gateway. */
export const ofGateway = (id: string, law: string, file: string, text: string, instead: string): Fault =>
  one(id, law, `gateway/${file}`, text, instead)

/** The same in a ready-made actor. */
export const ofActors = (id: string, law: string, file: string, text: string, instead: string): Fault =>
  one(id, law, `../actors/${file}`, text, instead)
