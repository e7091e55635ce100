/**
 * Preloaded into a host (`--import`) to be measured: asked over IPC, it collects garbage and tells what is left.
 *
 * Two collections with a turn of the event loop between them, since what finalizers and closed handles let go goes with the
 * second.
 */
process.on("message", (message) => {
  if (message !== "measure") return
  globalThis.gc!()
  setTimeout(() => {
    globalThis.gc!()
    const { heapUsed, external, rss } = process.memoryUsage()
    process.send!({ heapUsed, external, rss })
  }, 50)
})
// asking keeps nobody alive
process.channel!.unref()
