/** Counts by name. */
export type Counts = Record<string, number>

export const count = (counts: Counts, name: string): void => void (counts[name] = (counts[name] ?? 0) + 1)

/** Those whose name starts so, without that, in the order of the alphabet. */
export const some = (counts: Readonly<Counts>, start = ""): Counts => {
  const found = Object.entries(counts).filter(([name]) => name.startsWith(start))
  const sorted = found.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(sorted.map(([name, n]) => [name.slice(start.length).trim(), n]))
}

export const sum = (counts: Readonly<Counts>): number => Object.values(counts).reduce((a, b) => a + b, 0)

export const text = (counts: Readonly<Counts>): string =>
  Object.entries(counts)
    .map(([name, n]) => `${name} ${n}`)
    .join(", ")
