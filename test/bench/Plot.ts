/**
 * Panels of lines over a logarithmic x axis, as SVG text: no library, no script, legible on light and on dark.
 *
 * Each panel has a y axis of its own from zero, since a cost that is flat is a level line there; colours come from classes with a media query, so that
 * the picture follows the reader's scheme also as an <img>.
 */
export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface Panel {
  readonly title: string
  readonly series: ReadonlyArray<Series>
}

const width = 300
const height = 220
const margin = { left: 56, right: 18, top: 52, bottom: 40 }

const style = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .grid { stroke: #d0d7de }
  .line { fill: none; stroke-width: 2 }
  .s0 { stroke: #6e7781 } .d0 { fill: #6e7781 }
  .s1 { stroke: #0969da } .d1 { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .grid { stroke: #3d444d }
    .s0 { stroke: #9198a1 } .d0 { fill: #9198a1 }
    .s1 { stroke: #58a6ff } .d1 { fill: #58a6ff }
  }`

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

const label = (n: number) => (n >= 1e6 ? `${n / 1e6} M` : n >= 1e3 ? `${n / 1e3} k` : String(Number(n.toPrecision(3))))

/** The least of 1, 2, 2.5, 5 times a power of ten that is no less. */
const roundedUp = (n: number) => {
  const unit = 10 ** Math.floor(Math.log10(n))
  return unit * (([1, 2, 2.5, 5, 10] as const).find((step) => step * unit >= n) ?? 10)
}

const panelText = ({ series, title }: Panel, offset: number): string => {
  const all = series.flatMap(({ points }) => points)
  const logs = all.map(([x]) => Math.log10(x))
  const [first, last] = [Math.min(...logs), Math.max(...logs)]
  const top = roundedUp(Math.max(...all.map(([, y]) => y), 1e-9))
  const at = (x: number) =>
    offset + margin.left + ((Math.log10(x) - first) / (last - first || 1)) * (width - margin.left - margin.right)
  const up = (y: number) => height - margin.bottom - (y / top) * (height - margin.top - margin.bottom)
  const place = (x: number, y: number) => `${at(x).toFixed(1)},${up(y).toFixed(1)}`
  const [left, right] = [offset + margin.left, offset + width - margin.right]
  const grid = [0, 0.5, 1].map((part) => {
    const y = up(part * top).toFixed(1)
    return `<line class="grid" x1="${left}" x2="${right}" y1="${y}" y2="${y}"/><text x="${left - 6}" y="${Number(y) + 4}" text-anchor="end">${label(part * top)}</text>`
  })
  const ticks = [...new Set(all.map(([x]) => x))].map(
    (x) => `<text x="${at(x).toFixed(1)}" y="${height - margin.bottom + 18}" text-anchor="middle">${label(x)}</text>`
  )
  const lines = series.map(({ name, points }, i) => {
    const path = points.map(([x, y]) => place(x, y)).join(" ")
    const dots = points.map(
      ([x, y]) => `<circle class="d${i}" r="3" cx="${at(x).toFixed(1)}" cy="${up(y).toFixed(1)}"/>`
    )
    const key = `<circle class="d${i}" r="4" cx="${left + i * 90 + 4}" cy="34"/><text x="${left + i * 90 + 13}" y="38">${escaped(name)}</text>`
    return `<polyline class="line s${i}" points="${path}"/>${dots.join("")}${key}`
  })
  return [`<text class="title" x="${left}" y="18">${escaped(title)}</text>`, ...grid, ...ticks, ...lines].join("\n")
}

/** The panels beside each other; `axis` names what x counts. */
export const svg = (axis: string, panels: ReadonlyArray<Panel>): string => {
  const total = width * panels.length
  const names = panels.map(
    (_, i) =>
      `<text x="${i * width + (width + margin.left - margin.right) / 2}" y="${height - 4}" text-anchor="middle">${escaped(axis)}</text>`
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total} ${height}" width="${total}" height="${height}" role="img">
<style>${style}
</style>
${panels.map((panel, i) => panelText(panel, i * width)).join("\n")}
${names.join("\n")}
</svg>
`
}
