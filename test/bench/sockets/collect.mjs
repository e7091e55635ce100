/**
 * Preloaded into a server to be measured (`--import`): collects garbage on SIGUSR2, by agreement with wsload. Needs `--expose-gc`.
 */
process.on("SIGUSR2", () => globalThis.gc?.())
