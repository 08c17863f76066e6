// The address is the state: #/view/id?run=adaptive&…  Back and forward work, and every view can be linked to.
import { useEffect, useState } from "preact/hooks";

export type Route = { view: string; id: string; q: URLSearchParams };
export const FILTERED = ["run", "q", "only", "sort"];

function parse(): Route {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/");
  let id = rest.join("/");
  try { id = decodeURIComponent(id); } catch { /* a mistyped address names no problem */ }
  return { view: view || "overview", id, q: new URLSearchParams(query) };
}

export function useRoute(): Route {
  const [route, set] = useState(parse);
  useEffect(() => {
    const on = () => set(parse());
    addEventListener("hashchange", on);
    return () => removeEventListener("hashchange", on);
  }, []);
  return route;
}

type To = { view?: string; id?: string; keep?: string[]; set?: Record<string, string | number | null> };
export function href(route: Route, to: To): string {
  const q = new URLSearchParams();
  for (const key of to.keep ?? ["run"]) if (route.q.has(key)) q.set(key, route.q.get(key)!);
  for (const [key, value] of Object.entries(to.set ?? {})) value === null || value === "" ? q.delete(key) : q.set(key, String(value));
  const view = to.view ?? route.view, id = to.id ?? (to.view && to.view !== route.view ? "" : route.id), text = q.toString();
  return `#/${view}${id ? "/" + encodeURIComponent(id) : ""}${text ? "?" + text : ""}`;
}

export function go(url: string, replace = false) {
  if (!replace) { location.hash = url; return; }
  history.replaceState(null, "", url);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useMedia(query: string): boolean {
  const [fits, set] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query), on = () => set(media.matches);
    media.addEventListener("change", on);
    return () => media.removeEventListener("change", on);
  }, [query]);
  return fits;
}
