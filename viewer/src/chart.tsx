// Observable Plot inside Preact: drawn anew when its box or its data change. Colours are CSS variables, so the
// dark scheme needs no drawing.
import { useEffect, useRef, useState } from "preact/hooks";

export const NOTE = { fontSize: "12px", overflow: "visible" };
export const SYMBOLS = ["circle", "square", "diamond"];
export const DASHES = ["none", "7 3", "2 3"];

export function Chart({ draw, label, deps }: { draw: (width: number) => any; label: string; deps: unknown[] }) {
  const box = useRef<HTMLDivElement>(null), [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    if (!width) return;
    const plot = draw(width), picture: Element = plot.tagName === "svg" ? plot : plot.querySelector("svg");
    for (const part of picture.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label"); // parts of one picture
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", label);
    box.current!.replaceChildren(plot);
    return () => plot.remove();
  }, [width, label, ...deps]);
  return <div class="chart" ref={box} />;
}
