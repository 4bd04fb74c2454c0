// Splits one line into arguments as a shell would: blanks separate, quotes and backslashes keep.
// No variables, no globbing, no substitution: nothing is ever expanded.

export function parseArgs(line) {
  const args = [];
  let word = null; // null: between two words; "" is a word, as in ''
  let quote = null;
  for (let i = 0; i < line.length; i++) {
    const char = line[i];
    if (quote === "'") {
      if (char === "'") quote = null;
      else word += char;
    } else if (char === "\\") {
      const next = line[++i];
      if (next === undefined) throw new SyntaxError("The backslash at the end has nothing to escape.");
      word = (word ?? "") + (quote && next !== '"' && next !== "\\" ? "\\" + next : next);
    } else if (quote === '"') {
      if (char === '"') quote = null;
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== null) args.push(word);
      word = null;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote) throw new SyntaxError(`A quote is not closed: ${quote}`);
  if (word !== null) args.push(word);
  return args;
}
