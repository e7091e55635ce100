/**
 * A web page in headless Chromium, with the client in it, and the server that it comes from: for the browser test.
 *
 * The server answers `/` with a page whose script is a bundle made by esbuild, and passes WebSockets on to the gateway with
 * the headers they came with, as a reverse proxy does: so page and agents have one origin, which is what a gateway lets in
 * unasked. The test may cut those sockets, and keep them cut. Chromium is Debian's, or what `CHROMIUM` names.
 */
import { build } from "esbuild"
import { existsSync } from "node:fs"
import { createServer, type IncomingMessage, type Server } from "node:http"
import { type AddressInfo, connect } from "node:net"
import type { Duplex } from "node:stream"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

const places = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

/** Where Chromium is; undefined where it is not. */
export const chromiumPath: string | undefined = places.find((path) => path !== undefined && existsSync(path))

/** A script that imports "troupe/client", as a browser runs it. */
const bundle = async (script: string): Promise<string> => {
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: root, loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
    logLevel: "silent"
  })
  return outputFiles[0]!.text
}

export class Site {
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()
  /** WebSockets so far. */
  connections = 0
  /** False: new WebSockets are refused. */
  plugged = true

  constructor(script: string, to: () => number) {
    this.#server = createServer((request, response) => {
      if (request.url === "/script.js") response.setHeader("content-type", "text/javascript").end(script)
      else if (request.url === "/") {
        const page = '<!doctype html><title>troupe</title><script type="module" src="/script.js"></script>'
        response.setHeader("content-type", "text/html").end(page)
      } else response.writeHead(404).end()
    })
    this.#server.on("upgrade", (request, near: Duplex, head: Buffer) => {
      if (this.plugged) this.#pass(request, near, head, to())
      else near.destroy()
    })
  }

  #pass(request: IncomingMessage, near: Duplex, head: Buffer, port: number): void {
    this.connections++
    const far = connect(port, "127.0.0.1")
    const lines = [`GET ${request.url} HTTP/1.1`]
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`)
    }
    far.write(`${lines.join("\r\n")}\r\n\r\n`)
    far.write(head)
    for (const end of [near, far]) {
      this.#sockets.add(end)
      end.on("error", () => {})
      end.on("close", () => {
        this.#sockets.delete(end)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    far.pipe(near)
  }

  /** Ends the WebSockets without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.cut()
    this.#server.close()
    this.#server.closeAllConnections()
  }

  /** Its URL. */
  listen(): Promise<string> {
    return new Promise((resolve) =>
      this.#server.listen(0, "127.0.0.1", () => {
        resolve(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`)
      })
    )
  }
}

/** A site whose page runs `script`, before the gateway on the port that `to` names. */
export const site = async (script: string, to: () => number): Promise<Site> => new Site(await bundle(script), to)
