/** What runs on a worker thread: a model that holds its thread while it thinks, as a native library or a synchronous driver does. */
const words = (text: string): ReadonlySet<string> => new Set(text.toLowerCase().match(/\w+/g))

/** The passage that shares most words with the question, after `millis` of thought. */
export const best = (question: string, passages: ReadonlyArray<string>, millis: number) => {
  const began = Date.now()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
  const asked = words(question)
  const shared = (passage: string): number => [...words(passage)].filter((word) => asked.has(word)).length
  const passage = passages.toSorted((a, b) => shared(b) - shared(a))[0] ?? ""
  return { passage, began, ended: Date.now() }
}
