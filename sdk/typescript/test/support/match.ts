/** Compares what a call gave with what the table of cases says; `sdk/README.md` tells what the signs mean. */

import assert from 'node:assert/strict'

export type Values = Map<string, unknown>

/** Puts saved values into a text, or a whole value where the text is nothing but its name. */
export function filled(pattern: unknown, values: Values): unknown {
  if (typeof pattern === 'string') {
    const whole = /^\$\{(\w+)\}$/.exec(pattern)
    if (whole !== null) return known(values, whole[1])
    return pattern.replace(/\$\{(\w+)\}/g, (_, name: string) => String(known(values, name)))
  }
  if (Array.isArray(pattern)) return pattern.map((part) => filled(part, values))
  if (isObject(pattern)) return Object.fromEntries(Object.entries(pattern).map(([name, part]) => [name, filled(part, values)]))
  return pattern
}

function known(values: Values, name: string | undefined): unknown {
  assert.ok(name !== undefined && values.has(name), `nothing was saved as ${name}`)
  return values.get(name)
}

/** Fails unless a value is as expected: objects may hold more, lists may not. */
export function matches(actual: unknown, expected: unknown, where: string): void {
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), `${where} is no list: ${JSON.stringify(actual)}`)
    assert.equal(actual.length, expected.length, `the length of ${where}: ${JSON.stringify(actual)}`)
    expected.forEach((part, at) => matches(actual[at], part, `${where}[${at}]`))
  } else if (!isObject(expected)) {
    assert.deepEqual(actual, expected, where)
  } else if (Object.keys(expected).some((name) => name.startsWith('$'))) {
    for (const [sign, value] of Object.entries(expected)) fits(sign, actual, value, where)
  } else {
    assert.ok(isObject(actual), `${where} is no object: ${JSON.stringify(actual)}`)
    for (const [name, part] of Object.entries(expected)) {
      assert.ok(name in actual, `${where} has no ${name}: ${JSON.stringify(actual)}`)
      matches(actual[name], part, `${where}.${name}`)
    }
  }
}

function fits(sign: string, actual: unknown, value: unknown, where: string): void {
  switch (sign) {
    case '$type':
      return assert.equal(typeName(actual), value, where)
    case '$matches':
      assert.equal(typeof actual, 'string', where)
      return assert.match(actual as string, new RegExp(value as string), where)
    case '$length':
      assert.ok(Array.isArray(actual), `${where} is no list`)
      return assert.equal(actual.length, value, `the length of ${where}: ${JSON.stringify(actual)}`)
    case '$contains': {
      assert.ok(Array.isArray(actual), `${where} is no list`)
      const found = actual.some((part) => !throws(() => matches(part, value, where)))
      return assert.ok(found, `${where} holds nothing like ${JSON.stringify(value)}: ${JSON.stringify(actual)}`)
    }
    default:
      assert.fail(`the table says ${sign}, which means nothing`)
  }
}

function throws(check: () => void): boolean {
  try {
    check()
    return false
  } catch {
    return true
  }
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
