/**
 * What the local model says to a request: a function of the request alone, so that runs are the same.
 *
 * It says back what it is told, word by word; "add 3" calls the tool `Add`, where it is offered one: its first parameter is the
 * number.
 */
export interface Body {
  readonly model: string
  readonly messages: ReadonlyArray<{ readonly role: string; readonly content: string }>
  readonly tools?: ReadonlyArray<{
    readonly function: { readonly name: string; readonly parameters: { readonly properties?: object } }
  }>
}

/** The query behind the name of a model. */
export class Rule {
  readonly #query: URLSearchParams
  constructor(model: string) {
    this.#query = new URLSearchParams(model.split("?")[1])
  }
  text(name: string): string | undefined {
    return this.#query.get(name) ?? undefined
  }
  number(name: string): number | undefined {
    return this.#query.has(name) ? Number(this.#query.get(name)) : undefined
  }
}

/** Tokens as this model counts them: words. */
const tokens = (text: string): number => text.split(/\s+/).filter(Boolean).length

/** The deltas of the answer, what ends it, and what it has used. */
export const answer = (body: Body, rule: Rule) => {
  const { role = "", content = "" } = body.messages.at(-1) ?? {}
  const [verb, number] = content.split(" ")
  const tool = body.tools?.find((each) => role === "user" && each.function.name.toLowerCase() === verb)
  const prompt_tokens = body.messages.reduce((all, message) => all + tokens(message.content), 0)
  const usage = (completion_tokens: number) => ({ prompt_tokens, completion_tokens })
  if (tool !== undefined) {
    const { name, parameters } = tool.function
    const [field = "value"] = Object.keys(parameters.properties ?? {})
    const args = rule.text("args") ?? JSON.stringify({ [field]: Number(number) })
    const id = `call-${body.messages.length}`
    // in fragments, as real ones do
    const fragments = [
      { index: 0, id, type: "function", function: { name, arguments: "" } },
      { index: 0, function: { arguments: args.slice(0, 3) } },
      { index: 0, function: { arguments: args.slice(3) } }
    ]
    const deltas = fragments.map((fragment) => ({ tool_calls: [fragment] }))
    return { deltas, finish: "tool_calls", usage: usage(1) }
  }
  const said = role === "tool" ? `The tool says ${content}` : `You said: ${content}`
  const word = "x".repeat(rule.number("size") ?? 5)
  const words = rule.number("words")
  const all = words === undefined ? (said.match(/\s*\S+/g) ?? []) : Array.from({ length: words }, () => word)
  return { deltas: all.map((each) => ({ content: each })), finish: "stop", usage: usage(all.length) }
}
