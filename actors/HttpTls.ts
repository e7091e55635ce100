/**
 * Whom an HttpPool trusts, and as whom it is known: its option `tls`, checked when the pool is made.
 *
 * Used by HttpPool, and as a type by HttpConnection, which hands it to node:tls. A field of another type, a certificate or key
 * that is no PEM text, or one of the two without the other is `InvalidOption` by field (law 12): Node would say so at each dial,
 * or take anything but `false` of `rejectUnauthorized` for true. Whether a key opens with its passphrase, and fits its
 * certificate, only OpenSSL can say: at the first dial, in the request's error.
 * What is refused is never shown: it may be the key. Only PEM, no DER and no Buffers: what is read of a file as text.
 */
import { InvalidOption, Options } from "troupe"

/** As of node:tls. Certificates are PEM. */
export interface HttpTlsOptions {
  /** Who is trusted, in place of those that Node trusts. */
  readonly ca?: string | ReadonlyArray<string>
  /** Whom this side says it is; with `key`. */
  readonly cert?: string
  readonly key?: string
  /** The key's. */
  readonly passphrase?: string
  /** `false`: whoever answers is trusted. Default true. */
  readonly rejectUnauthorized?: boolean
}

const certificate = /-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END /
const privateKey = /-----BEGIN ([A-Z]+ )*PRIVATE KEY-----[\s\S]+-----END /

export const check = (options: HttpTlsOptions = {}): HttpTlsOptions => {
  Options.known("HttpPool.tls", options, ["ca", "cert", "key", "passphrase", "rejectUnauthorized"])
  const { ca, cert, key, passphrase } = options
  const refuse = (field: keyof HttpTlsOptions, value: unknown, range: string): never => {
    const shown = Array.isArray(value) ? "a list" : typeof value === "string" ? "a string" : String(typeof value)
    throw new InvalidOption({ field: `HttpPool.tls.${field}`, value: shown, range })
  }
  const pem = (field: "ca" | "cert" | "key", value: unknown, kind: RegExp, what: string): void => {
    if (typeof value !== "string" || !kind.test(value)) refuse(field, value, `${what} as PEM text`)
  }
  const trusted: ReadonlyArray<unknown> = Array.isArray(ca) ? ca : [ca]
  if (trusted.length === 0) refuse("ca", ca, "a certificate, or a list of some")
  if (ca !== undefined) for (const each of trusted) pem("ca", each, certificate, "a certificate")
  if (cert !== undefined) pem("cert", cert, certificate, "a certificate")
  if (key !== undefined) pem("key", key, privateKey, "a private key")
  if (cert === undefined && key !== undefined) refuse("cert", cert, "given, as its key is")
  if (key === undefined && cert !== undefined) refuse("key", key, "given, as its certificate is")
  if (passphrase !== undefined && (typeof passphrase !== "string" || key === undefined)) {
    refuse("passphrase", passphrase, "a string, beside a key")
  }
  Options.flag("HttpPool.tls.rejectUnauthorized", options.rejectUnauthorized, true)
  return options
}
