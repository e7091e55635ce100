/**
 * Preloaded into a server to be measured (`--import`): collects garbage on SIGUSR2, by agreement with wsload. Needs `--expose-gc`.
 *
 * With TOUCH=1 it fills the young generation once, whose pages come into resident memory with the first connections otherwise, and with a hundred of
 * them are most of what is counted as theirs.
 */
const youngBytes = 64 * 2 ** 20

if (process.env["TOUCH"] === "1") {
  let kept = []
  for (let bytes = 0; bytes < youngBytes; bytes += 1024) {
    kept.push(new Array(126).fill(bytes))
    if (kept.length === 4096) kept = []
  }
}

process.on("SIGUSR2", () => globalThis.gc?.())
