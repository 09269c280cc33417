import { expect, test } from "vitest";
import { Exact, parse, stringify } from "./exact";

test.each(["18446744073709551616", "1e400", "0.1000000000000000055", "-9007199254740993"])("%s keeps its digits", (text) => {
  expect(parse(text)).toBeInstanceOf(Exact);
  expect(stringify(parse(`{"a":[${text}]}`))).toBe(`{"a":[${text}]}`);
});

test.each(["2.0000000000000000", "1e3", "0.1", "-5.070544354479", "0.000000000000000000"])("%s is a double", (text) => {
  expect(parse(text)).toBe(Number(text));
});

test("what JSON.parse reads is read alike", () => {
  const text = '{"n":1234567890123456789,"s":"\\u0041\\n\\"","l":[true,false,null,{}],"__proto__":1e2}';
  const read = parse(text) as Record<string, unknown>;
  expect(read.s).toBe('A\n"');
  expect(Object.keys(read)).toEqual(["n", "s", "l", "__proto__"]);
  expect(parse(stringify(read, 2))).toEqual(read);
});

test.each(['{"n":1234567890123456789,}x', "[1234567890123456789", "1234567890123456789 2", '{1234567890123456789:1}'])("%s is refused", (text) => {
  expect(() => parse(text)).toThrow();
});
