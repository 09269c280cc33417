/** Which Nox this is, so that nobody cancels jobs of another one: a name and a colour, in the head, the title and the tab. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { queries } from "../api/queries";
import { useChoices } from "./store";

export type Instance = { name: string; hue: number; byServer: boolean };

/** As the operator named it, else as it is called in this browser, else its address; the colour follows from the name where none is set. */
export function useInstance(): Instance {
  const { instance } = useChoices();
  const info = useQuery(queries.info());
  const name = info.data?.name || instance || location.host;
  return { name, hue: hueOf(info.data?.color ?? "") ?? hueByName(name), byServer: !!info.data?.name };
}

/** Says it where CSS and the browser see it. `place` is the screen's name. */
export function useShownInstance({ name, hue }: Instance, place: string) {
  useEffect(() => {
    document.title = `${place} · ${name} · Nox`;
  }, [place, name]);
  useEffect(() => {
    document.documentElement.style.setProperty("--nox-hue", String(hue));
    const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (icon) icon.href = `data:image/svg+xml,${encodeURIComponent(moon(hue))}`;
  }, [hue]);
}

const moon = (hue: number) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="hsl(${hue} 60% 35%)"/>` +
  `<path d="M21.5 21.4A8.6 8.6 0 0 1 12.2 8.6a8.7 8.7 0 1 0 11.5 11.5 8.6 8.6 0 0 1-2.2 1.3z" fill="#f5d565"/></svg>`;

export function hueByName(name: string): number {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return hash % 360;
}

/** Of `#rrggbb`; grey has none. Its lightness is the page's, so that texts on it can be read in both schemes. */
export function hueOf(color: string): number | null {
  const [, ...parts] = /^#(..)(..)(..)$/.exec(color) ?? [];
  const [red = 0, green = 0, blue = 0] = parts.map((part) => Number.parseInt(part, 16));
  const span = Math.max(red, green, blue) - Math.min(red, green, blue);
  if (parts.length === 0 || !(span > 0)) return null;
  const sixth =
    red >= green && red >= blue ? (green - blue) / span : green >= blue ? 2 + (blue - red) / span : 4 + (red - green) / span;
  return Math.round((sixth * 60 + 360) % 360);
}
