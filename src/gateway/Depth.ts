/**
 * How deep a JSON text nests, told without reading it twice.
 *
 * Floor 3; used by JsonRpc before it parses; pure. Law 3: what decodes, copies and prints a value recurses, so a text of 64 KiB
 * that is all brackets would cost the agent its stack.
 * Cost: nothing for a text too short to nest so deep; a search for the next opening bracket, up to `max` times, where there
 * are no more of them, as in nearly all messages; else one pass that jumps over strings. Beside JSON.parse of the same text, in
 * ns: a call of 105 characters 4 of 450, one of 417 with 20 small objects 190 of 3,200, 64 KiB of text 1,200 of 18,600; at worst
 * 48 KiB of small objects 130,000 of 330,000, of escaped quotes 76,000 of 48,000.
 * Of a text that is no JSON it says anything: the parser says the rest.
 */
const BACKSLASH = 92

/** What a character means here: 1 opens, -1 closes, 2 begins a string. */
const kinds = new Int8Array(128)
for (const [characters, kind] of [
  ["[{", 1],
  ["]}", -1],
  ['"', 2]
] as const) {
  for (const character of characters) kinds[character.charCodeAt(0)] = kind
}

/** Whether so many brackets open as make it possible. */
const opensOver = (text: string, max: number): boolean => {
  let left = max
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) if (--left < 0) return true
  }
  return false
}

/** The offset of the quote that ends the string begun before `at`, or the text's end. */
const stringEnd = (text: string, at: number): number => {
  for (let end = text.indexOf('"', at); end !== -1; end = text.indexOf('"', end + 1)) {
    let slash = end
    while (text.charCodeAt(slash - 1) === BACKSLASH) slash--
    if ((end - slash) % 2 === 0) return end
  }
  return text.length
}

/** Whether lists and records lie in each other over `max` deep. */
export const over = (text: string, max: number): boolean => {
  // each level has two brackets
  if (text.length <= 2 * max || !opensOver(text, max)) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    // past the table it is undefined, and means nothing
    const kind = kinds[text.charCodeAt(at)]
    if (kind === 0) continue
    if (kind === 2) at = stringEnd(text, at + 1)
    else if (kind === 1) {
      if (++depth > max) return true
    } else if (kind === -1) depth--
  }
  return false
}
