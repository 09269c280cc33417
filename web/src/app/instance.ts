/** Which Nox this is, so that nobody cancels jobs of another one: a name, and a colour that follows from it. */
export const instanceName = (chosen: string) => chosen || location.host;

export function instanceHue(name: string): number {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return hash % 360;
}
