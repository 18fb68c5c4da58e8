// The formula of a piece of evidence, computed anew from its inputs.

const TOKEN = /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|([-+/()×÷*]))/y;

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (!match) return null;
    const [, digits, name, sign] = match;
    // A lone x between two values multiplies them.
    if (name === "x") found.push({ sign: "×" });
    else
      found.push(
        digits
          ? { value: Number(digits) }
          : name
            ? { name }
            : { sign: sign === "*" ? "×" : sign === "÷" ? "/" : sign },
      );
    if (!text.slice(TOKEN.lastIndex).trim()) break;
  }
  return found;
}

// Sums of products of values, names and brackets; null for all that is not.
function evaluate(list, inputs) {
  let place = 0;
  const next = (sign) => list[place]?.sign === sign && ++place;
  function sum() {
    let value = product();
    for (;;) {
      if (next("+")) value += product();
      else if (next("-")) value -= product();
      else return value;
    }
  }
  function product() {
    let value = factor();
    for (;;) {
      if (next("×")) value *= factor();
      else if (next("/")) value /= factor();
      else return value;
    }
  }
  function factor() {
    if (next("-")) return -factor();
    if (next("(")) {
      const value = sum();
      if (!next(")")) throw new SyntaxError("bracket");
      return value;
    }
    const token = list[place++];
    const value = token?.name === undefined ? token?.value : inputs[token.name];
    if (typeof value !== "number") throw new SyntaxError("no number");
    return value;
  }
  try {
    const value = sum();
    return place === list.length && Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}

/*
 * What `evidence.formula`, such as "amount = unit_price x volume", gives with its inputs put in:
 * {text, value, agrees}; null where it is words that only a person can follow.
 */
export function recomputed(evidence) {
  const { formula, inputs, expected } = evidence;
  if (typeof formula !== "string" || !inputs || typeof inputs !== "object") return null;
  const right = formula.slice(formula.indexOf("=") + 1);
  const numbers = { ...evidence, ...inputs };
  const list = tokens(right.replace(/\bsum of the tariffs\b/, Object.keys(inputs).join(" + ")));
  if (!list?.length) return null;
  const value = evaluate(list, numbers);
  if (value === null || list.length < 2) return null;
  const text = list
    .map((each) => each.sign ?? String(each.value ?? numbers[each.name]))
    .join(" ")
    .replaceAll("( ", "(")
    .replaceAll(" )", ")");
  const shown = Math.round(value * 1e6) / 1e6;
  const goal = typeof expected === "number" ? expected : null;
  const agrees =
    goal === null || Math.abs(value - goal) <= Math.max(1e-6, Math.abs(goal) * 1e-9, 0.005);
  return { text: `= ${text} = ${shown}`, value: shown, agrees };
}
